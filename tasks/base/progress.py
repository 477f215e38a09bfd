"""What a run says of itself while it goes on, to whoever listens in the same process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """One thing done: ``done`` of ``total`` in a stage (0 of 0 where the stage is one step).

    ``text`` is for people, a line about a whole corpus or a whole stage; a part of one has none.
    ``facts`` says the same to programs: names, counts and seconds.
    """

    stage: str
    text: str
    done: int = 0
    total: int = 0
    facts: dict[str, str | int | float] = field(default_factory=dict)


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


def announce(
    stage: str, text: str, done: int = 0, total: int = 0, **facts: str | int | float
) -> None:
    """Tells all listeners that something was done."""
    for listener in list(_listeners):
        listener(Progress(stage, text, done, total, facts))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Calls ``listener`` for everything announced in the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
