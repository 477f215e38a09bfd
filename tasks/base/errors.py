"""What can go wrong for a user: one tree, mapped to the exit status of the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


class AlignError(Exception):
    """Anything that a user is told in one line instead of a traceback."""

    exit_code = 1

    def __str__(self) -> str:
        return _in_one_line(super().__str__())


class ConfigurationError(AlignError):
    """A mistake in the corpora file, an option or an environment variable."""

    exit_code = 2


class CorpusError(AlignError):
    """One dump cannot be used; its corpus is set aside and the others go on.

    Attributes:
        corpus: The corpus's name.
        path: The dump, its address, or the file of it that is at fault.
        problem: What is wrong.
        remedy: What to do about it.
    """

    exit_code = 3

    def __init__(self, corpus: str, path: Path | str, problem: str, remedy: str) -> None:
        # All four reach Exception, so that the error survives the way back from another process.
        super().__init__(corpus, path, problem, remedy)
        self.corpus = corpus
        self.path = path
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return _in_one_line(f"corpus '{self.corpus}' ({self.path}): {self.problem}; {self.remedy}")


class WarehouseError(AlignError):
    """The warehouse holds no results, or cannot be read, written or locked."""


class ConflictError(WarehouseError):
    """Another run has published to the same store meanwhile."""


class DatabaseInUseError(WarehouseError):
    """Another process has the published database open for writing, which may pass."""


def _in_one_line(text: str) -> str:
    # What a message quotes may hold anything: line breaks, control sequences of terminals.
    return "".join(character if character.isprintable() else " " for character in text)


class RequirementError(ConfigurationError):
    """A row of the results does not meet the condition that the caller set."""

    exit_code = 4
