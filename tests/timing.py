"""Times of calls, for tests of how they grow with their input."""

import time
from collections.abc import Callable

REPEATS = 3


def fastest_seconds(call: Callable[[], object]) -> float:
    """Return the processor time of the fastest of some calls.

    A collection of garbage or a first import makes single calls slow.
    """
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds)
