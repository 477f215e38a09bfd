"""When Python looks for garbage: seldom while it runs, and no more at its end."""

import gc
from typing import Final

# Libraries and parse trees make objects that stay, or go together: looked through at every 700th,
# as is Python's habit, they take a tenth of the time that libraries take to load. Never would not
# do: one query at which the parser tries again and again takes gigabytes.
_OBJECTS_PER_COLLECTION: Final = 10_000


def collect_seldom() -> None:
    """Looks at every 10,000th object made, and not at every 700th."""
    gc.set_threshold(_OBJECTS_PER_COLLECTION)


def settle() -> None:
    """Takes what is there for what stays, and looks seldom from now on.

    Processes that are forked share its memory, as long as none looks through it.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()


def collect_no_more() -> None:
    """Takes what is there for what stays: it ends with the process.

    At its end Python would look through all of it three times, a tenth of a second.
    """
    gc.freeze()
