"""Queries that run out of time, and the queries that are not tried because of them."""

from pathlib import Path

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.templates.parser_pool import ParseJob
from nl2sql_align.tasks.templates.rules import Limits, read_limits
from nl2sql_align.tasks.templates.timeouts import Timeouts

SLOW = "SELECT a FROM b WHERE c = 'd' AND e > 1"
SAME = "select x from  y where z = 'it''s' and \"w\" > 2.5"
OTHER = "SELECT a FROM b WHERE c = 'd' OR e > 1"


def job(source="texts", dialect="sqlite", **limits):
    return ParseJob(Path(source), 0, Path("out"), dialect, Limits(**limits))


def test_a_query_that_differs_in_names_and_literals_only_is_not_tried():
    timeouts = Timeouts()
    assert timeouts.list_hopeless(job(), [SLOW, SAME]) == {}
    reason = timeouts.add(job(), SLOW, 20.0)
    assert reason == "takes longer than 20 s to parse (NL2SQL_ALIGN_QUERY_SECONDS)"
    not_tried = timeouts.list_hopeless(job("other"), [OTHER, SLOW, "SELECT f(a) FROM b"])
    assert not_tried == {
        1: "not parsed: another of the same form takes longer than 20 s "
        "(NL2SQL_ALIGN_QUERY_SECONDS)"
    }
    assert timeouts.list_hopeless(job(dialect="tsql"), [SLOW]) == {}
    # It had less time than it would have now.
    assert timeouts.list_hopeless(job(seconds_per_query=21.0), [SLOW]) == {}
    timeouts.clear()
    assert timeouts.list_hopeless(job(), [SLOW]) == {}


@pytest.mark.parametrize(
    ("query", "is_same"),
    [("SELECT x FROM y WHERE z = 'w' AND v > 0", True), ("SELECT a FROM `b` WHERE", False)],
)
def test_quoted_names_and_strings_are_left_out_of_a_form(query, is_same):
    timeouts = Timeouts()
    timeouts.add(job(), SLOW, 20.0)
    assert list(timeouts.list_hopeless(job(), [query])) == ([0] if is_same else [])


def test_a_corpus_has_a_budget_for_queries_that_run_out_of_time():
    timeouts, one = Timeouts(), job(timeout_seconds=60.0)
    timeouts.add(one, "SELECT 1", 20.0)
    assert timeouts.seconds_for(one) == 20.0
    timeouts.add(one, "SELECT 1, 1", 20.0)
    assert timeouts.seconds_for(one) == 1.0
    assert timeouts.seconds_for(job("other", timeout_seconds=60.0)) == 20.0
    reason = timeouts.add(one, "SELECT 1, 1, 1", 1.0)
    assert reason == (
        "takes longer than 1 s to parse, after others took half of 60 s "
        "(NL2SQL_ALIGN_TIMEOUT_SECONDS)"
    )
    assert timeouts.list_hopeless(one, ["SELECT a"]) == {}
    timeouts.add(one, "SELECT 2", 20.0)
    assert timeouts.list_hopeless(one, ["SELECT a"]) == {
        0: "not parsed: others that ran out of time took 60 s (NL2SQL_ALIGN_TIMEOUT_SECONDS)"
    }
    assert timeouts.list_hopeless(job("other", timeout_seconds=60.0), ["SELECT a"]) == {}


def test_the_times_are_settings_of_the_environment(monkeypatch):
    assert read_limits() == Limits()
    monkeypatch.setenv("NL2SQL_ALIGN_QUERY_SECONDS", "2.5")
    monkeypatch.setenv("NL2SQL_ALIGN_TIMEOUT_SECONDS", "7")
    assert read_limits() == Limits(seconds_per_query=2.5, timeout_seconds=7.0)


def test_a_time_that_is_not_one_is_a_mistake_in_one_line(monkeypatch):
    for name in ("NL2SQL_ALIGN_QUERY_SECONDS", "NL2SQL_ALIGN_TIMEOUT_SECONDS"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "soon")
            with pytest.raises(ConfigurationError, match=f"'soon' is not a time limit; set {name}"):
                read_limits()
