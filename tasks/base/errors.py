"""The errors that users see, each with the exit status of the command line."""

import errno
import os
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.base.secrets import hide_secrets

_FULL_DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISK_ERRORS: Final = (*_FULL_DISK, errno.EROFS, errno.EIO)


class AlignError(Exception):
    """Base class of the errors that are shown in one line, without a traceback."""

    exit_code = 1

    def __str__(self) -> str:
        return _clear_message(super().__str__())


class ConfigurationError(AlignError):
    """A mistake in the corpora file, an option or an environment variable."""

    exit_code = 2


class RequirementError(ConfigurationError):
    """A row of the results does not meet the condition that the caller set."""

    exit_code = 4


class CorpusError(AlignError):
    """A dump that cannot be used: its corpus is set aside, and the others continue.

    Attributes:
        corpus: The name of the corpus.
        path: The dump, its address, or the file in it that is at fault.
        problem: The fault, in words that follow the path: ``is empty``.
        remedy: Advice for the user, as an imperative.
    """

    exit_code = 3

    def __init__(self, corpus: str, path: Path | str, problem: str, remedy: str) -> None:
        # Exception needs all four to be pickled on the way back from another process.
        super().__init__(corpus, path, problem, remedy)
        self.corpus = corpus
        self.path = path
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return _clear_message(
            f"corpus '{self.corpus}' ({self.path}): {self.problem}; {self.remedy}"
        )


class WarehouseError(AlignError):
    """A warehouse that contains no results, or cannot be read, written or locked."""


class ConflictError(WarehouseError):
    """Another run has published to the same store in the meantime."""


class LostFileError(WarehouseError):
    """The store has lost or damaged a file that a run needs; the run starts again without it."""


class DatabaseInUseError(WarehouseError):
    """Another process has the published database open for writing, perhaps only briefly."""


def find_disk_reason(error: Exception, *, only_if_full: bool = False) -> str | None:
    """Return the reason if an error says that a disk is full, read-only or broken, else None.

    Libraries such as DuckDB and Polars report the operating system's errors as text.

    Args:
        error: The error.
        only_if_full: Consider only the errors that reading cannot have.
    """
    number = error.errno if isinstance(error, OSError) else None
    text = str(error)
    reasons = {n: os.strerror(n) for n in (_FULL_DISK if only_if_full else _DISK_ERRORS)}
    return next((r for n, r in reasons.items() if n == number or r in text), None)


def full_disk_error(reason: str) -> WarehouseError:
    """Return the error of a step that could not write a file, which other corpora would meet too.

    Args:
        reason: The reason of ``find_disk_reason``.
    """
    return WarehouseError(
        f"the disk of the warehouse or of temporary files is full ({reason}); free space, and run "
        "again: published results and finished stages are kept"
    )


def _clear_message(text: str) -> str:
    # Messages quote user data, which may contain line breaks and control sequences of terminals.
    line = "".join(character if character.isprintable() else " " for character in text)
    return hide_secrets(line)
