"""Versions and options of measures. This module imports nothing slow."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MATRIX_VERSION: Final = 1
"""Raise it with every change that can alter a measure."""

INTERVALS_VERSION: Final = 7
"""Raise it with every change that can alter an interval, a verdict or a ceiling."""

SEED: Final = 0
"""The seed of published intervals."""

ALIGNMENT_REPLICATES: Final = 200
"""For the interval of an alignment: a standard deviation of this many is known to 5%."""
FEWEST_REPLICATES: Final = 600
"""For the verdict of a ratio: a standard deviation of this many is known to 3%."""
MOST_REPLICATES: Final = 2_000
# After each of these numbers of replicates, only doubtful verdicts get more.
_CHECKPOINTS: Final = (FEWEST_REPLICATES, MOST_REPLICATES)


class Unit(StrEnum):
    """The unit that resampling draws as a whole."""

    DATABASE = "database"
    """All queries of one database. Single queries where databases are unknown."""

    QUERY = "query"
    """Single queries, as if those of one database were independent."""


@dataclass(frozen=True)
class Resampling:
    """How a run resamples.

    Attributes:
        replicates: The number of replicates. By default 200 for alignments and 600 for ratios, and
            up to 2,000 where a verdict depends on it.
        unit: What is drawn as a whole: databases, where several are known, or always queries.
        seed: The seed of the replicates.
    """

    replicates: int | None = None
    unit: Unit = Unit.DATABASE
    seed: int = SEED

    @property
    def of_alignments(self) -> int:
        """The number of replicates of an alignment that no ratio needs."""
        return ALIGNMENT_REPLICATES if self.replicates is None else self.replicates

    def checkpoints(self) -> tuple[int, ...]:
        """Return the numbers of replicates after which doubtful verdicts get more."""
        return _CHECKPOINTS if self.replicates is None else (self.replicates,)


DEFAULT_RESAMPLING: Final = Resampling()
