"""Where the steps of a job run, and which of them have not ended yet."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Pending(Protocol[R_co]):
    """The result of a step that may still be running."""

    def result(self) -> R_co:
        """Wait for the step, and return its result or raise its error."""
        ...

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call a function with this object once the step has ended, in any thread."""
        ...


class Executor(Protocol):
    """Where the steps of a job run."""

    def submit(self, step: Callable[..., R], *args: Any, **options: Any) -> Pending[R]:
        """Start a step."""
        ...

    def call(self, step: Callable[..., R], *args: Any, **options: Any) -> R:
        """Run a step that the whole job waits for."""
        ...


class LocalExecutor:
    """Runs steps in the threads of this process."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def submit(self, step: Callable[..., R], *args: Any, **options: Any) -> Pending[R]:
        """Start a step."""
        return self._pool.submit(step, *args, **options)

    def call(self, step: Callable[..., R], *args: Any, **options: Any) -> R:
        """Run a step in this thread."""
        return step(*args, **options)


class Steps:
    """The steps of a job: submitted, and waited for, by one thread."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._open: set[Pending[Any]] = set()
        self._ended: SimpleQueue[Pending[Any]] = SimpleQueue()

    def submit(self, step: Callable[..., R], *args: Any, **options: Any) -> Pending[R]:
        """Start a step."""
        pending = self._executor.submit(step, *args, **options)
        self._open.add(pending)
        pending.add_done_callback(self._ended.put)
        return pending

    def find_open(self, steps: Iterable[Pending[Any]]) -> set[Pending[Any]]:
        """Return those of some steps whose end ``wait_for_one`` has not returned yet."""
        return self._open.intersection(steps)

    def wait_for_one(self) -> Pending[Any]:
        """Wait for the next end of a step, and return the step."""
        step = self._ended.get()
        self._open.discard(step)
        return step

    def as_completed(self, steps: Iterable[Pending[R]]) -> Iterator[Pending[R]]:
        """Yield steps as they end."""
        given = list(steps)
        missing = self.find_open(given)
        yield from (step for step in given if step not in missing)
        while missing:
            step = self.wait_for_one()
            if step in missing:
                missing.remove(step)
                yield step

    def finish(self) -> None:
        """Wait for all steps, whatever comes of them."""
        for step in self._open:
            with suppress(Exception):
                step.result()
        self._open.clear()
