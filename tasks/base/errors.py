"""The errors that users see, each with the exit status of the command line."""

import errno
import os
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.base.secrets import hide_secrets

_DISK_ERRORS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG)


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
    """A warehouse that holds no results, or cannot be read, written or locked."""


class ConflictError(WarehouseError):
    """Another run has published to the same store in the meantime."""


class DatabaseInUseError(WarehouseError):
    """Another process has the published database open for writing, perhaps only briefly."""


def find_disk_reason(error: Exception) -> str | None:
    """Return the reason if an error says that a disk is full, read-only or broken, else None.

    Libraries such as DuckDB and Polars report the operating system's errors as text.
    """
    number = error.errno if isinstance(error, OSError) else None
    text = str(error)
    reasons = {number: os.strerror(number) for number in _DISK_ERRORS}
    return next((r for n, r in reasons.items() if n == number or r in text), None)


def _clear_message(text: str) -> str:
    # Messages quote user data, which may contain line breaks and control sequences of terminals.
    line = "".join(character if character.isprintable() else " " for character in text)
    return hide_secrets(line)
