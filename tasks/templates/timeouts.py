"""Queries that take too long to parse, and the queries that are not tried because of them."""

import hashlib
import re
import threading
from collections.abc import Sequence
from typing import Final, Protocol

from nl2sql_align.tasks.ingest.statements import SQL_WORDS
from nl2sql_align.tasks.templates.rules import (
    NOT_TRIED,
    QUERY_SECONDS_VARIABLE,
    TIMED_OUT,
    TIMEOUT_SECONDS_VARIABLE,
    Limits,
)

_SHORT_SECONDS: Final = 1.0
_PIECE: Final = re.compile(
    r"""'[^']*' | "[^"]*" | `[^`]*` | \d[\w.]* | ([^\W\d]\w*) (\s*\()? | \s+""", re.VERBOSE
)


class Job(Protocol):
    """Queries of a corpus to parse."""

    @property
    def source(self) -> object:
        """The same for all queries of a corpus, such as their file."""
        ...

    @property
    def dialect(self) -> str:
        """The dialect."""
        ...

    @property
    def limits(self) -> Limits:
        """The limits within which they are parsed."""
        ...


class Timeouts:
    """The queries of a run that ran out of time."""

    def __init__(self) -> None:
        self._forms: dict[tuple[str, float], set[bytes]] = {}
        self._spent: dict[tuple[object, str], float] = {}
        self._lock = threading.Lock()

    def add(self, job: Job, query: str, seconds: float) -> str:
        """Record a query that ran out of its time, and return the reason why it is rejected."""
        limit, budget = job.limits.seconds_per_query, job.limits.timeout_seconds
        with self._lock:
            corpus = job.source, job.dialect
            self._spent[corpus] = self._spent.get(corpus, 0.0) + seconds
            self._forms.setdefault((job.dialect, seconds), set()).add(_form_of(query))
        reason = f"{TIMED_OUT}{seconds:g} s to parse"
        if seconds < limit:
            return f"{reason}, after others took half of {budget:g} s ({TIMEOUT_SECONDS_VARIABLE})"
        return f"{reason} ({QUERY_SECONDS_VARIABLE})"

    def seconds_for(self, job: Job) -> float:
        """Return the time for each further query of a job's corpus."""
        spent = self._spent.get((job.source, job.dialect), 0.0)
        limit = job.limits.seconds_per_query
        return limit if spent < job.limits.timeout_seconds / 2 else min(_SHORT_SECONDS, limit)

    def list_hopeless(self, job: Job, queries: Sequence[str]) -> dict[int, str]:
        """Return the queries that are not tried, by index, with the reasons.

        These are all if the time of the corpus for such queries is spent, else those that differ
        from one that ran out of time in names and literals only.
        """
        budget = job.limits.timeout_seconds
        if self._spent.get((job.source, job.dialect), 0.0) >= budget:
            spent = f"others that ran out of time took {budget:g} s ({TIMEOUT_SECONDS_VARIABLE})"
            return dict.fromkeys(range(len(queries)), NOT_TRIED + spent)
        seconds = self.seconds_for(job)
        with self._lock:
            forms = {
                form
                for (dialect, tried), found in self._forms.items()
                if dialect == job.dialect and tried >= seconds
                for form in found
            }
        if not forms:
            return {}
        reason = (
            f"{NOT_TRIED}another of the same form takes longer than {seconds:g} s "
            f"({QUERY_SECONDS_VARIABLE})"
        )
        return {i: reason for i, query in enumerate(queries) if _form_of(query) in forms}

    def clear(self) -> None:
        """Forget all queries, at the end of a run."""
        with self._lock:
            self._forms.clear()
            self._spent.clear()


def _form_of(query: str) -> bytes:
    """Return a digest of a query without its names and literals."""
    return hashlib.md5(_PIECE.sub(_simplify, query).encode("utf-8", "replace")).digest()


def _simplify(piece: re.Match[str]) -> str:
    word = piece[1]
    if word is None:
        return " " if piece[0].isspace() else "0"
    upper = word.upper()
    return f"{upper}(" if piece[2] else upper if upper in SQL_WORDS else "a"
