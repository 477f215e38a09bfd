"""The results for a notebook: Polars frames, and an object that shows itself as a matrix."""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.results import read
from nl2sql_align.tasks.results.database import open_results, quoted_name

if TYPE_CHECKING:
    import polars as pl

# Above this many rows, a notebook shows the first and says how many there are.
_MOST_ROWS: Final = 60
_LEAST: Final = 0.3679  # 1/e, where nothing is shared


def load(place: Path | str) -> "Results":
    """The published results of a warehouse.

    Raises:
        WarehouseError: There are none.
    """
    with open_results(place):
        return Results(place)


@dataclass(frozen=True)
class Results:
    """Published results: frames that are read when asked for, and kept.

    Attributes:
        warehouse: The folder of the results, or their address on a store.
    """

    warehouse: Path | str

    @cached_property
    def corpora(self) -> "pl.DataFrame":
        """Table ``corpora``, in the order of the corpora file."""
        return self.table("corpora")

    @cached_property
    def alignment(self) -> "pl.DataFrame":
        """A row for every ordered pair, with the roles of both: ``tasks.results.read.matrix``."""
        return read.matrix(self.warehouse)

    @cached_property
    def ratios(self) -> "pl.DataFrame":
        """The Alignment Ratios, the closest training set first: ``tasks.results.read.ratio``."""
        return read.ratio(self.warehouse)

    def matrix(self, metric: str = "kl_alignment", *, all_targets: bool = False) -> "pl.DataFrame":
        """One row for each source, with a column for each target.

        Args:
            metric: One of ``tasks.results.read.METRICS``.
            all_targets: Every corpus as a column, not only those with that role.

        Raises:
            ConfigurationError: There is no such measure.
        """
        if metric not in read.METRICS:
            raise ConfigurationError(f"no measure '{metric}'; there are: {', '.join(read.METRICS)}")
        rows = self.alignment
        of_targets = rows.filter(rows["target_role"] == "target")
        shown = rows if all_targets or of_targets.is_empty() else of_targets
        return shown.pivot("target", index="source", values=metric, maintain_order=True)

    def table(self, name: str) -> "pl.DataFrame":
        """Any table of the published database.

        Raises:
            ConfigurationError: There is no such table.
        """
        with open_results(self.warehouse) as con:
            tables = [table for (table,) in con.execute("show tables").fetchall()]
            if name not in tables:
                raise ConfigurationError(f"no table '{name}'; there are: {', '.join(tables)}")
            rows: pl.DataFrame = con.sql(f"from {quoted_name(name)}").pl()
            return rows

    def _repr_html_(self) -> str:
        """The matrix of sources and targets, darker where they are closer."""
        matrix = self.matrix()
        head = "".join(f"<th>{escape(name)}</th>" for name in matrix.columns[1:])
        body = "".join(
            f"<tr><th>{escape(source)}</th>{''.join(map(_cell, values))}</tr>"
            for source, *values in matrix.head(_MOST_ROWS).iter_rows()
        )
        hidden = len(matrix) - _MOST_ROWS
        more = f"<p>and {hidden:,} more sources</p>" if hidden > 0 else ""
        return (
            f"<table><caption>kl_alignment of sources (rows) with targets in "
            f"{escape(str(self.warehouse))}</caption><thead><tr><th></th>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{more}"
        )


def _cell(value: float) -> str:
    share = max(0.0, min(1.0, (value - _LEAST) / (1 - _LEAST)))
    # From a near white to a dark blue, with the text that can be read on it
    red, green, blue = (
        round(start + share * (end - start))
        for start, end in zip((243, 246, 250), (8, 51, 107), strict=True)
    )
    colour = "#fff" if share > 0.6 else "#000"
    return f'<td style="background:rgb({red},{green},{blue});color:{colour}">{value:.3f}</td>'
