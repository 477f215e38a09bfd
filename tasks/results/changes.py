"""Changes of the results from run to run, read from the published tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.results.database import open_results


@dataclass(frozen=True)
class Drift:
    """An alignment that moved by more than the threshold of the run.

    ``drift`` is ``kl_alignment - drift_from``; ``drift_from`` is the value at the last drift, or
    else the first value.
    """

    source: str
    target: str
    drift_from: float
    kl_alignment: float
    drift: float


@dataclass(frozen=True)
class VerdictChange:
    """A ratio that crossed 1 or changed its verdict."""

    train: str
    target: str
    model: str
    predictions: str
    previous_alignment_ratio: float
    alignment_ratio: float
    previous_verdict: str | None
    verdict: str | None


@dataclass(frozen=True)
class Changes:
    """The changes in a run since the run before it.

    Attributes:
        new: Corpora that the previous run did not have.
        changed: Corpora whose content changed.
        rejects: Each corpus with rejected queries: its name, their number, their share and the most
            frequent reason.
        drifts: Alignments that moved.
        verdicts: Ratios that crossed 1 or changed their verdict.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    rejects: tuple[tuple[str, int, float, str], ...]
    drifts: tuple[Drift, ...]
    verdicts: tuple[VerdictChange, ...]


def find_changes(place: Path | str, run_id: str) -> Changes:
    """Compare a run with the runs before it.

    Args:
        place: The folder of the results, or their address on a store.
        run_id: The run, as in table ``runs``.

    Raises:
        WarehouseError: The results are missing.
    """
    with open_results(place) as con:

        def rows(name: str, **parameters: object) -> list[tuple[Any, ...]]:
            found: list[tuple[Any, ...]] = query_sql(
                con, f"results/changes/{name}", **parameters
            ).fetchall()
            return found

        contents = rows("new_corpora", run_id=run_id)
        return Changes(
            tuple(corpus for corpus, is_new in contents if is_new),
            tuple(corpus for corpus, is_new in contents if not is_new),
            tuple((str(c), int(n), float(s), str(r)) for c, n, s, r in rows("rejects")),
            tuple(Drift(*row) for row in rows("drifts", run_id=run_id)),
            tuple(VerdictChange(*row) for row in rows("verdict_changes", run_id=run_id)),
        )
