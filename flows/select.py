"""The selection of training data as a flow, to run on a Prefect server after the main job."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from nl2sql_align.flows.running.artifacts import report_decision
from nl2sql_align.flows.running.policy import step
from nl2sql_align.flows.running.protected_flow import protected_flow
from nl2sql_align.tasks.decisions import selection
from nl2sql_align.tasks.decisions.options import Method, Overlap
from nl2sql_align.tasks.decisions.selection import SelectionOptions
from nl2sql_align.tasks.decisions.training_files import TrainingOptions
from nl2sql_align.tasks.views.options import Picture
from nl2sql_align.tasks.views.terminal.decisions import print_selection

select_rows = step(selection.select, "select", "select for {target}")


@protected_flow(
    name="select",
    description="Select training rows whose templates are distributed like those of a target.",
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
    keep_accidental: bool = False,
    stop: bool = False,
    training: TrainingOptions | None = None,
    weights: Path | None = None,
) -> str:
    """Select rows from published corpora, and write them to a folder.

    Args:
        warehouse: The folder of the results, or their address on a store.
        target: The corpus that the selection should resemble.
        budget: The number of rows to select.
        out: The folder to write.
        sources: The corpora to select from; by default all training sets.
        method: How to select: direct minimization of the divergence, greedy (cynical selection),
            importance weights, or random, for comparison; see docs/selection.md.
        seed: The seed of the random numbers.
        min_templates: The least number of distinct templates to select.
        max_share: The largest share of the budget that one source may give.
        caps: The largest shares of single sources.
        exclude_overlap: The rows to leave out because the target has them too: exact, near, strict
            or none.
        keep_accidental: Keep rows that parse by accident, because a name in them lacks quotes.
        stop: Select fewer rows if more make it worse.
        training: How to write the rows for a trainer, too, with at least a layout: messages,
            prompt-completion, alpaca, sharegpt or verl.
        weights: A file with the weight of each question of the target, such as an error rate: a
            table with the columns weight, and id or ordinal.

    Returns:
        The name of the selection in tables ``selections`` and ``selection_curves``.

    Raises:
        ConfigurationError: A corpus does not exist, or an option is out of range.
        WarehouseError: The results are missing, or another run has locked them.
    """
    options = SelectionOptions(
        budget,
        method=method,
        seed=seed,
        min_templates=min_templates,
        max_share=max_share,
        caps=caps,
        exclude_overlap=exclude_overlap,
        keep_accidental=keep_accidental,
        stop=stop,
    )
    made = select_rows(warehouse, target, tuple(sources), Path(out), options, training, weights)
    report_decision(
        "select", warehouse, lambda: print_selection(made), Picture.BUDGET, target=target
    )
    return made.selection
