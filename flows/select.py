"""Choosing training data as a flow, to be run on a Prefect server after the main job."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from prefect import flow

from nl2sql_align.flows.running.policy import step
from nl2sql_align.tasks.decisions import selection
from nl2sql_align.tasks.decisions.options import Method, Overlap
from nl2sql_align.tasks.decisions.selection import Options

select_rows = step(selection.select, "select", "select from {sources} for {target}")


@flow(
    name="select",
    description="Choose training rows whose templates are distributed as a target's are.",
    persist_result=False,
)
def select(
    warehouse: Path | str,
    target: str,
    budget: int,
    out: Path,
    sources: Sequence[str] = (),
    method: Method = Method.DIRECT,
    seed: int = 0,
    min_templates: int = 0,
    max_share: float = 1.0,
    caps: Mapping[str, float] | None = None,
    exclude_overlap: Overlap = Overlap.NEAR,
    stop: bool = False,
) -> str:
    """Chooses rows from the published corpora, and writes them out.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: The corpus to be like.
        budget: How many rows to take.
        out: The folder to write.
        sources: The corpora to choose from; by default all with the role train.
        method: How to choose: direct minimisation of the divergence, greedy (cynical selection),
            importance weights, or random, to compare with; see docs/selection.md.
        seed: Another one gives other noise.
        min_templates: How many distinct templates to take at least.
        max_share: The largest share of the budget that one source may give.
        caps: Such shares for single sources.
        exclude_overlap: Which rows that the target has are left out: exact, near, strict or none.
        stop: With greedy: take no more rows than lower the cross-entropy.

    Returns:
        The selection's name in tables ``selections`` and ``selection_curves``.

    Raises:
        ConfigurationError: There is no such corpus, or an option makes no sense.
        WarehouseError: There are no results, or another run holds them.
    """
    options = Options(
        budget,
        method=method,
        seed=seed,
        min_templates=min_templates,
        max_share=max_share,
        caps=caps,
        exclude_overlap=exclude_overlap,
        stop=stop,
    )
    return select_rows(warehouse, target, tuple(sources), Path(out), options).selection
