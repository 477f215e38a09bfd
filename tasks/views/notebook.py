"""The results in a notebook: Polars frames, charts, and an object that is shown as a matrix."""

from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.results import read
from nl2sql_align.tasks.results.database import open_results, quote_name
from nl2sql_align.tasks.results.options import Metric, find_metric
from nl2sql_align.tasks.views.charts import VEGA_LITE_MAJOR, shade
from nl2sql_align.tasks.views.options import Picture

if TYPE_CHECKING:
    import polars as pl

# A displayed matrix has at most this many rows, followed by the number of hidden ones.
_MAX_ROWS: Final = 60
_LOWEST: Final = 0.3679  # 1/e: nothing shared


def load(place: Path | str) -> "Results":
    """Load the published results of a warehouse.

    Example::

        results = load("warehouse")
        results.matrix()  # sources by targets
        results.ratios.filter(results.ratios["verdict"] == "gain")

    Args:
        place: The folder of the results, or their address on an object store.

    Returns:
        An object with the results as Polars frames. As the last expression of a notebook cell, it
        is displayed as a matrix of KL-alignments.

    Raises:
        WarehouseError: The results are missing, or another version of nl2sql-align made them.
    """
    with open_results(place):
        return Results(place)


@dataclass(frozen=True)
class Results:
    """The published results of a warehouse, as Polars frames.

    Each frame is read on first use and then cached. To see the results of a later run, call
    ``load`` again.

    Attributes:
        warehouse: The folder of the results, or their address on an object store.
    """

    warehouse: Path | str

    @cached_property
    def corpora(self) -> "pl.DataFrame":
        """Table ``corpora``: one row per corpus, in the order of the corpora file."""
        return self.table("corpora")

    @cached_property
    def alignment(self) -> "pl.DataFrame":
        """One row per ordered pair of corpora, with all measures and the roles of both corpora.

        The columns are those of ``tasks.results.read.matrix``.
        """
        return read.matrix(self.warehouse)

    @cached_property
    def ratios(self) -> "pl.DataFrame":
        """One row per Alignment Ratio, for each set of predictions the closest training set first.

        The columns are those of ``tasks.results.read.ratio``.
        """
        return read.ratio(self.warehouse)

    def matrix(
        self, metric: Metric | str = Metric.KL_ALIGNMENT, *, all_targets: bool = False
    ) -> "pl.DataFrame":
        """Return one measure as a matrix, with a row per source and a column per target.

        Args:
            metric: The measure, such as ``kl_nats`` (nats) or ``ngram_coverage`` (a share).
            all_targets: Include a column for every corpus, not only for those with the role
                target. This is always so if no corpus has that role.

        Returns:
            A frame with the column ``source``, then one column per target, named after it.

        Raises:
            ConfigurationError: The measure does not exist.
        """
        metric = find_metric(metric)
        rows = self.alignment
        of_targets = rows.filter(rows["target_role"] == "target")
        shown = rows if all_targets or of_targets.is_empty() else of_targets
        return shown.pivot("target", index="source", values=metric, maintain_order=True)

    def table(self, name: str) -> "pl.DataFrame":
        """Return a table or view of the published database, such as ``queries`` or ``runs``.

        Args:
            name: The name of the table, as listed in the reference of tables.

        Raises:
            ConfigurationError: The table does not exist.
            WarehouseError: The results have been removed since they were loaded.
        """
        with open_results(self.warehouse) as con:
            tables = [table for (table,) in con.execute("show tables").fetchall()]
            if name not in tables:
                raise ConfigurationError(f"no table '{name}'; {suggest(name, tables)}")
            rows: pl.DataFrame = con.sql(f"from {quote_name(name)}").pl()
            return rows

    def plot_matrix(
        self, metric: Metric | str = Metric.KL_ALIGNMENT, *, target: str | None = None
    ) -> "Chart":
        """Draw one measure of all corpora with the targets.

        Args:
            metric: The measure, such as ``kl_nats``.
            target: Only this target.

        Raises:
            ConfigurationError: The measure or the target does not exist.
        """
        return self._plot(Picture.MATRIX, target=target, metric=metric)

    def plot_ratios(self, target: str | None = None) -> "Chart":
        """Draw the Alignment Ratios of untuned models on a target, by default the first one.

        Raises:
            ConfigurationError: The target has no Alignment Ratio.
        """
        return self._plot(Picture.RATIOS, target=target)

    def plot_differences(self, source: str | None = None, target: str | None = None) -> "Chart":
        """Draw the structures whose shares differ most in two corpora.

        Args:
            source: The corpus to compare with the target; by default, the closest training set.
            target: The target; by default, the first one.

        Raises:
            ConfigurationError: A corpus does not exist, or no structure differs.
        """
        return self._plot(Picture.DIFFERENCES, target=target, source=source)

    def plot_sample_sizes(self, target: str | None = None) -> "Chart":
        """Draw how well fewer queries of a target rank training sets.

        Raises:
            ConfigurationError: ``sample_sizes`` has recorded nothing for this target.
        """
        return self._plot(Picture.SAMPLE_SIZE, target=target)

    def plot_budget(self, target: str | None = None) -> "Chart":
        """Draw the alignment of selected rows by their number.

        Raises:
            ConfigurationError: ``select`` has recorded nothing for this target.
        """
        return self._plot(Picture.BUDGET, target=target)

    def _plot(self, kind: Picture, **options: Any) -> "Chart":
        from nl2sql_align.tasks.views.pictures import build_picture

        return Chart(build_picture(self.warehouse, kind, **options))

    def _repr_html_(self) -> str:
        """Return the matrix of KL-alignments as an HTML table, with darker cells for closer pairs.

        Names are escaped, so a corpus's name cannot inject HTML.
        """
        matrix = self.matrix()
        head = "".join(f"<th>{escape(name)}</th>" for name in matrix.columns[1:])
        body = "".join(
            f"<tr><th>{escape(source)}</th>{''.join(map(_format_cell, values))}</tr>"
            for source, *values in matrix.head(_MAX_ROWS).iter_rows()
        )
        hidden = len(matrix) - _MAX_ROWS
        more = f"<p>and {hidden:,} more sources</p>" if hidden > 0 else ""
        return (
            f"<table><caption>kl_alignment of sources (rows) with targets (columns) in "
            f"{escape(str(self.warehouse))}</caption><thead><tr><th></th>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{more}"
        )


@dataclass(frozen=True)
class Chart:
    """A chart that notebooks show: as Vega-Lite if they can, else as an SVG picture.

    Attributes:
        spec: The Vega-Lite specification with its data: ``altair.Chart.from_dict(chart.spec)``.
    """

    spec: dict[str, Any]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """Return the chart in the forms that notebooks choose from."""
        from nl2sql_align.tasks.views.pictures import read_title, render

        return {
            f"application/vnd.vegalite.v{VEGA_LITE_MAJOR}+json": self.spec,
            "image/svg+xml": render(self.spec, ".svg").decode(),
            "text/plain": f"Chart: {read_title(self.spec)}",
        }


def _format_cell(value: float) -> str:
    share = max(0.0, min(1.0, (value - _LOWEST) / (1 - _LOWEST)))
    color = "#fff" if share > 0.6 else "#000"  # readable on the shade
    return f'<td style="background:{shade(share)};color:{color}">{value:.3f}</td>'
