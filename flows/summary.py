"""The summary that a run returns."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class RunSummary:
    """What a run did, in numbers of corpora, distinct queries and ordered pairs, and in seconds.

    A corpus none of whose queries has a template stands in ``corpora``, those that are published,
    and in ``set_aside``. ``notes`` say what was decided for corpora, and what to know of them;
    ``problems`` say what the nightly job could not take from its folders.
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
