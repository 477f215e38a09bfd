"""The summary of a run."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RunSummary:
    """The results of a run in numbers.

    Attributes:
        run_id: The run, as in table ``runs``.
        warehouse: The folder of the results, or their address on a store.
        corpora: The published corpora, with those that have no template.
        set_aside: The corpora that could not be compared, each with its reason; those without a
            template are published all the same.
        n_ingested: Corpora whose dumps were read.
        n_parsed: Distinct queries parsed.
        n_crashed: Queries that crashed the parser.
        n_pairs: Ordered pairs of contents.
        n_new_pairs: Pairs that no earlier run had measured.
        seconds: The time of each stage, in turn. Several corpora are under way in ``ingest``,
            ``templates`` and ``ngrams``, each of which ends once all are through it.
        notes: Choices that the run made for corpora, and remarks about them.
        problems: The dumps and folders that the nightly job could not use, with the reasons.
        skipped: The files that the nightly job did not recognize as data sets.
        retired: The corpora whose dumps the nightly job did not find any more, each with the date.
    """

    run_id: str
    warehouse: Path | str
    corpora: tuple[str, ...]
    set_aside: dict[str, str]
    n_ingested: int
    n_parsed: int
    n_crashed: int
    n_pairs: int
    n_new_pairs: int
    seconds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
