"""Options of the main job. This module imports nothing slow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.measures.options import DEFAULT_RESAMPLING, Resampling
from nl2sql_align.tasks.results.options import DRIFT_THRESHOLD


@dataclass(frozen=True)
class JobSettings:
    """The settings of a job.

    Attributes:
        corpora_file: The corpora file, for the record of the run; None if the run has no such file.
        resampling: How to resample for intervals; by default, as many replicates as verdicts need.
        drift_threshold: How far an alignment may move before the move is called a drift.
        has_comments: Whether a new database has comments on its tables and columns, for people who
            read it.
    """

    corpora_file: Path | None = None
    resampling: Resampling = DEFAULT_RESAMPLING
    drift_threshold: float = DRIFT_THRESHOLD
    has_comments: bool = True


DEFAULT_SETTINGS: Final = JobSettings()
