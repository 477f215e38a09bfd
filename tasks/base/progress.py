"""Progress of a run, announced to listeners in the same process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

PART: Final = "part"
"""The stage of announcements about an unfinished part of another stage, which people do not see."""


@dataclass(frozen=True)
class Progress:
    """One finished piece of work.

    Attributes:
        stage: The stage that the work belongs to.
        text: A line for people about a whole corpus or stage; empty for a part of one.
        done: Finished parts of the stage, an unfinished one by its share; 0 if the stage is a
            single step.
        total: All parts of the stage; 0 if the stage is a single step.
        facts: Names, counts and seconds, for programs.
    """

    stage: str
    text: str
    done: float = 0
    total: int = 0
    facts: dict[str, str | int | float] = field(default_factory=dict)


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


def announce(
    stage: str, text: str, done: float = 0, total: int = 0, **facts: str | int | float
) -> None:
    """Tell all listeners that a piece of work is finished."""
    for listener in list(_listeners):
        listener(Progress(stage, text, done, total, facts))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener`` for everything that is announced during the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
