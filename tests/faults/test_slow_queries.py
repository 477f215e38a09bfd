"""Queries that are slow to parse: they end after their time, and take little of other queries'."""

import time

import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.templates.templatizer import Templatizer
from tests.unit.templates.test_parser_pool import GOOD, SLOW, expected, make_job, outcomes, patient

pytestmark = pytest.mark.fault


@pytest.fixture(autouse=True)
def no_workers():
    stop_workers()
    yield
    stop_workers()


def test_of_many_slow_queries_of_one_form_one_is_tried(tmp_path):
    slow = [SLOW.replace("a", name) + f" WHERE b > {n}" for n, name in enumerate("abcdefgh" * 25)]
    job = make_job(tmp_path, [GOOD[0], *slow, *GOOD[1:]], limits=patient(1.0))
    before = time.monotonic()
    report = parse_part(job)
    assert time.monotonic() - before < 20  # with starts of workers
    assert report.n_crashed == report.n_rejected == len(slow)
    found = outcomes(job)
    assert [found[0], *found[-2:]] == expected(GOOD)
    same = "not parsed: another of the same form takes longer than 1 s (NL2SQL_ALIGN_QUERY_SECONDS)"
    assert [reason for _, reason in found[1:-2]] == [
        "takes longer than 1 s to parse (NL2SQL_ALIGN_QUERY_SECONDS)",
        *[same] * (len(slow) - 1),
    ]
    # Nor are they tried in another part.
    parse_part(job)
    assert [reason for _, reason in outcomes(job)[1:-2]] == [same] * len(slow)


def test_slow_queries_of_many_forms_end_with_the_budget_of_their_corpus(tmp_path):
    slow = [SLOW + " JOIN a" * n for n in range(40)]
    job = make_job(tmp_path, [*GOOD, *slow, GOOD[0]], limits=patient(0.3, budget=0.8))
    before = time.monotonic()
    report = parse_part(job)
    assert time.monotonic() - before < 20
    assert report.n_crashed == len(slow) + 1
    found = outcomes(job)
    assert found[:3] == expected(GOOD)
    spent = "not parsed: others that ran out of time took 0.8 s (NL2SQL_ALIGN_TIMEOUT_SECONDS)"
    assert [reason for _, reason in found[6:]] == [spent] * (len(found) - 6)


def test_a_thousand_lines_of_nested_functions_take_seconds():
    """Each took the parser 25 seconds, twice."""
    templatizer = Templatizer("sqlite")
    before = time.process_time()
    for n in range(1000):
        depth = 12 + n % 13
        template = templatizer(f"SELECT {'DATE(' * depth}x{n}{')' * depth}").template
        assert template == f"SELECT {'DATE ( ' * depth}{') ' * depth}".rstrip()
    assert time.process_time() - before < 20


def test_the_templates_of_a_part_stay_in_their_order(tmp_path):
    queries = [query for n in range(5) for query in (*GOOD, SLOW + " JOIN b" * n)]
    job = make_job(tmp_path, queries, limits=patient(0.2))
    parse_part(job, characters_per_request=700)
    table = pq.read_table(job.destination)
    assert table["first_ordinal"].to_pylist() == list(range(len(queries)))
    assert [outcomes(job)[i] for i in range(len(queries)) if i % 4 < 3] == expected(GOOD) * 5
