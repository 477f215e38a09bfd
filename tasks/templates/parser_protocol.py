"""Messages between a run, its parser processes, and the process that forks them.

A run asks the forking process for a parser, or to end one, by a number. It sends requests to a
parser as lines of JSON, and reads an answer to each. While a parser works, it keeps the number of
its row in a small file that both have open, so that the run knows at which query it died. The file
is not mapped: on a full disk, that would end the process by a signal.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO, Final, NamedTuple

from nl2sql_align.tasks.templates.rules import Limits

PROGRESS_BYTES: Final = 8
"""The size of the file with the number of the row at work."""

NO_ROW: Final = 2 ** (8 * PROGRESS_BYTES) - 1
"""The number in that file while a parser is at no query."""

NUMBER_BYTES: Final = 8
"""The size of each message to the forking process, and of its answers: a parser's number."""


class ParseRequest(NamedTuple):
    """Queries to parse.

    Attributes:
        queries: Their texts.
        dialect: Their dialect.
        limits: Which of them to reject unparsed.
        skip: Reject reasons by row, for queries at which earlier parsers died, and others.
        seconds_per_query: The time after which the run ends a parser that stays with one query, at
            most that of the limits.
    """

    queries: Sequence[str]
    dialect: str
    limits: Limits
    skip: dict[int, str]
    seconds_per_query: float


class ParseAnswer(NamedTuple):
    """The outcome of each query of a request.

    Attributes:
        templates: The templates; None for rejected queries.
        reject_reasons: The reasons; None for queries with a template.
        comparable_keys: MD5 digests of the comparable texts, in hexadecimal; None for rejected
            queries.
        resident_bytes: The memory of the parser process.
    """

    templates: list[str | None]
    reject_reasons: list[str | None]
    comparable_keys: list[str | None]
    resident_bytes: int


def encode_request(request: ParseRequest) -> bytes:
    """Return a request as a line of JSON."""
    fields = {**request._asdict(), "limits": asdict(request.limits)}
    return json.dumps(fields).encode() + b"\n"


def decode_request(line: bytes) -> ParseRequest:
    """Return the request of a line."""
    fields = json.loads(line)
    limits = fields.pop("limits")
    limits = Limits(**{**limits, "kinds": tuple(limits["kinds"])})
    skip = {int(row): reason for row, reason in fields.pop("skip").items()}
    return ParseRequest(**fields, limits=limits, skip=skip)


def encode_answer(answer: ParseAnswer) -> bytes:
    """Return an answer as a line of JSON."""
    return json.dumps(answer).encode() + b"\n"


def decode_answer(line: bytes) -> ParseAnswer:
    """Return the answer of a line."""
    return ParseAnswer(*json.loads(line))


def encode_number(number: int) -> bytes:
    """Return the message for a parser's number."""
    return number.to_bytes(NUMBER_BYTES, "little")


def write_row(progress: IO[bytes], row: int = NO_ROW) -> None:
    """Record the row at work in a file; by default, ``NO_ROW``.

    Raises:
        OSError: The disk is full. A file that contains a row has its space already.
    """
    os.pwrite(progress.fileno(), row.to_bytes(PROGRESS_BYTES, "little"), 0)


def read_row(progress: IO[bytes]) -> int:
    """Return the row at work, or ``NO_ROW``."""
    return int.from_bytes(os.pread(progress.fileno(), PROGRESS_BYTES, 0), "little")
