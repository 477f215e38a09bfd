"""Linear time for all rules over the text of dumps, on texts made to be slow."""

import math
import time

import pytest

from nl2sql_align.tasks.ingest.answers import explain_cleaning
from nl2sql_align.tasks.ingest.statements import choose_statements
from tests.hostile_texts import HostileText, each_fragment

LEAST_SECONDS = 0.005
DIALECTS = (None, "tsql", "mysql", "postgres")


def read(text, dialect):
    explain_cleaning(text, dialect)
    choose_statements(text, "last", dialect=dialect)


def seconds_for(hostile, dialect, n_characters):
    text = hostile.of_length(n_characters)
    before = time.process_time()
    read(text, dialect)
    return time.process_time() - before


def grows_linearly(hostile, dialect):
    """Return whether four times the text takes clearly less than sixteen times as long.

    The fastest of three attempts counts. Most texts take so little that they are read once.
    """
    short = long = math.inf
    for _ in range(3):
        long = min(long, seconds_for(hostile, dialect, 10_000))
        if long < 9 * LEAST_SECONDS:
            return True
        short = min(short, seconds_for(hostile, dialect, 2_500))
        if long < 9 * max(short, LEAST_SECONDS):
            return True
    return False


@pytest.mark.parametrize("part", range(4))
def test_each_fragment_takes_linear_time(part):
    slow = [
        hostile
        for n, hostile in enumerate(each_fragment()[part::4])
        if not grows_linearly(hostile, DIALECTS[n % len(DIALECTS)])
    ]
    assert slow == []


@pytest.mark.parametrize(
    "hostile",
    [
        # Comments after WITH; an open comment after each heading; marks in open quotes.
        HostileText("(", ("WITH\r\n", "--"), ""),
        HostileText("", ("WITH\n#",), ""),
        HostileText("x\n", ("Final answer: /*",), ""),
        HostileText("SELECT a FROM 'b", ("'", "</think>"), "", has_phases=True),
        HostileText("", ("$a{i}$", "$b{i}$ "), "", has_phases=True),
    ],
)
def test_texts_that_took_long_take_linear_time(hostile):
    assert all(grows_linearly(hostile, dialect) for dialect in DIALECTS)


def test_the_criterion_finds_a_quadratic_rule(monkeypatch):
    def read_again(text, dialect):
        for start in range(0, len(text), 4):
            sum(map(ord, text[start:]))

    monkeypatch.setitem(globals(), "read", read_again)
    assert not grows_linearly(HostileText("", ("ab",), ""), None)
    monkeypatch.setitem(globals(), "read", lambda text, dialect: sum(map(ord, text * 200)))
    assert grows_linearly(HostileText("", ("ab",), ""), None)
