"""Options of resampling. This module imports nothing slow, so that the command line can."""

from enum import StrEnum


class Unit(StrEnum):
    """The unit that resampling draws as a whole."""

    DATABASE = "database"
    """All queries of one database. Single queries where databases are unknown."""

    QUERY = "query"
    """Single queries, as if those of one database were independent."""
