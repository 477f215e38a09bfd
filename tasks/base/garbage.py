"""Python's garbage collection, tuned for short programs with many lasting objects."""

import gc
from typing import Final

# Libraries and parse trees make objects that last. Python's default of 700 objects per collection
# spends a tenth of the time that libraries take to load. Collection cannot be turned off: a query
# that the parser backtracks on would take gigabytes.
_OBJECTS_PER_COLLECTION: Final = 10_000


def collect_rarely() -> None:
    """Collect garbage once per 10,000 new objects, not once per 700."""
    gc.set_threshold(_OBJECTS_PER_COLLECTION)


def freeze_for_forking() -> None:
    """Freeze live objects, so that forked processes share their memory, and collect rarely.

    A collection writes to every object that it visits, which would copy the shared pages.
    """
    gc.collect()
    gc.freeze()
    collect_rarely()


def skip_final_collection() -> None:
    """Freeze live objects, so that Python does not collect them at exit (about 0.1 seconds)."""
    gc.freeze()
