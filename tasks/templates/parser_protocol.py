"""Byte sizes that the parser pool and its processes agree on."""

from typing import Final

PROGRESS_BYTES: Final = 8
"""The size of the file in which a parsing process says which row it is at."""


NO_ROW: Final = 2 ** (8 * PROGRESS_BYTES) - 1
"""What stands in that file outside of any query."""


MESSAGE_BYTES: Final = 8
"""The size of what is said to the process that forks parsing processes, and of its answers."""
