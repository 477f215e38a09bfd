"""Versions and options of measures. This module imports nothing slow."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MATRIX_VERSION: Final = 1
"""Raise it with every change that can alter a measure."""

INTERVALS_VERSION: Final = 6
"""Raise it with every change that can alter an interval, a verdict or a ceiling."""

SEED: Final = 0
"""The seed of published intervals."""

FEWEST_REPLICATES: Final = 600
"""A standard deviation of this many replicates is known to 3%."""
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
        replicates: The number of replicates. By default 600, and up to 2,000 where a verdict
            depends on it.
        unit: What is drawn as a whole: databases, where several are known, or always queries.
        seed: The seed of the replicates.
    """

    replicates: int | None = None
    unit: Unit = Unit.DATABASE
    seed: int = SEED

    def checkpoints(self) -> tuple[int, ...]:
        """Return the numbers of replicates after which doubtful verdicts get more."""
        return _CHECKPOINTS if self.replicates is None else (self.replicates,)


DEFAULT_RESAMPLING: Final = Resampling()
