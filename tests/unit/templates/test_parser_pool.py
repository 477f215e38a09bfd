"""Parsing in worker processes: a query that ends one is lost, and no other."""

import os
import resource
import signal
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.base.progress import PART, announce, listening
from nl2sql_align.tasks.run.announcements import PartsAnnouncer
from nl2sql_align.tasks.templates.one_query import template_of
from nl2sql_align.tasks.templates.parse_sharing import SHARE_PARSES_VARIABLE, parses_are_shared
from nl2sql_align.tasks.templates.parser_pool import (
    ParseJob,
    ParseReport,
    parse_part,
    start_worker,
    stop_workers,
)
from nl2sql_align.tasks.templates.parser_process import parse_queries
from nl2sql_align.tasks.templates.parser_protocol import (
    NO_ROW,
    ParseAnswer,
    ParseRequest,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
    read_row,
)
from nl2sql_align.tasks.templates.rules import DEFAULT_LIMITS, Limits
from nl2sql_align.tasks.templates.templatizer import Templatizer

GOOD = ["SELECT a FROM b", "SELECT a FROM b WHERE c > 1", "SELECT count(*) FROM b GROUP BY a"]
# The parser recurses once for each comma, and in T-SQL runs out of stack.
DEEP = "SELECT 1 FROM a, " * 4000 + "a"
# Each join without a condition doubles the parser's attempts, whose number is limited.
SLOW = "SELECT 1 FROM a" + " JOIN a" * 60


def patient(seconds, budget=300.0):
    """Return limits under which a slow query is stopped by its time only."""
    return Limits(max_nodes=10**12, seconds_per_query=seconds, timeout_seconds=budget)


# A second's work for a worker: queries with comments share no parse.
MANY = [f"SELECT b{i} FROM c WHERE d IN (SELECT e FROM f) -- g" for i in range(4000)]


@pytest.fixture(autouse=True)
def no_workers():
    """Each test starts without workers, and leaves none."""
    stop_workers()
    yield
    stop_workers()
    assert children_of(os.getpid()) == []


def make_job(folder, queries, dialect="sqlite", limits=DEFAULT_LIMITS):
    source = folder / "texts.parquet"
    pq.write_table(pa.table({"first_ordinal": range(len(queries)), "sql": queries}), source)
    return ParseJob(source, 0, folder / "templates.parquet", dialect, limits)


def outcomes(job):
    """Return the template and the reject reason of each query."""
    table = pq.read_table(job.destination)
    assert table["first_ordinal"].to_pylist() == list(range(len(table)))
    return list(zip(table["template"].to_pylist(), table["reject_reason"].to_pylist(), strict=True))


def expected(queries, dialect="sqlite"):
    templatizer = Templatizer(dialect)
    return [tuple(templatizer(query))[:2] for query in queries]


def children_of(process):
    """Return the processes started by a process that parse, or that fork parsers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if (
            int(parent) == process
            and b"nl2sql_align.tasks.templates.parser_process" in arguments
            and state != "Z"
        ):
            found.append(int(folder.name))
    return found


def worker_ids():
    """Return the process ids of this process's running workers."""
    return [worker for server in children_of(os.getpid()) for worker in children_of(server)]


def wait_for(condition):
    """Return the first true value of a condition."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.002)
    raise AssertionError("the condition has not come true")


def wait_for_end(*processes):
    wait_for(lambda: all(state_of(process) in "ZX" for process in processes))


def state_of(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def busy_worker():
    """Return the id of a worker that has parsed for a while, or None."""
    for worker in worker_ids():
        with suppress(OSError):
            fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
            if int(fields[11]) / os.sysconf("SC_CLK_TCK") > 0.1:  # user time
                return worker
    return None


@contextmanager
def stack_of(size):
    """Give processes started in the block a stack of this many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))


def test_a_part_is_parsed_by_the_rules(tmp_path):
    queries = [*GOOD, "", "SELECT FROM WHERE (", "PRAGMA table_info(a)"]
    job = make_job(tmp_path, queries)
    report = parse_part(job)
    assert outcomes(job) == expected(queries)
    assert report == ParseReport(n_queries=6, n_rejected=3)


def test_only_the_row_group_asked_for_is_parsed(tmp_path):
    job = make_job(tmp_path, GOOD)
    table = pa.table({"first_ordinal": [0, 1, 2], "sql": GOOD})
    pq.write_table(table, job.source, row_group_size=1)
    parse_part(ParseJob(job.source, 1, job.destination, "sqlite"))
    assert pq.read_table(job.destination)["first_ordinal"].to_pylist() == [1]


def test_progress_within_parts_moves_the_stage(tmp_path):
    job = make_job(tmp_path, MANY * 2)
    heard = []
    announcer = PartsAnnouncer(2)
    announcer.add([job.destination])
    with listening(announcer), listening(heard.append):
        parse_part(job)
    within = [step for step in heard if step.stage == PART]
    assert within and not any(step.text for step in heard)
    assert {(step.total, step.facts["part"]) for step in within} == {
        (len(MANY) * 2, str(job.destination))
    }
    rows = [step.done for step in within]
    assert rows == sorted(rows) and rows[-1] < len(MANY) * 2
    # The stage has two parts, of which the other is still to be added.
    stage = [(step.done, step.total) for step in heard if step.stage == "templates"]
    assert stage == [(row / (len(MANY) * 2), 2) for row in rows]
    announcer.add([tmp_path / "other"])
    assert announcer.finish(job.destination) and not announcer.finish(tmp_path / "as written")
    assert (announcer.n_done, announcer.n_parts) == (1, 2)
    with listening(announcer), listening(heard.append):
        announce(PART, "", 1, 10, part=str(job.destination))  # late, in another thread
        announce(PART, "", 1, 10, part="as written")  # not counted
        announce(PART, "", 5, 10, part=str(tmp_path / "other"))
    assert [step.done for step in heard if step.stage == "templates"][len(stage) :] == [1.5]


def test_a_worker_is_kept_for_the_next_part(tmp_path):
    parse_part(make_job(tmp_path, GOOD))
    [server] = children_of(os.getpid())
    [worker] = worker_ids()
    for _ in range(2):
        parse_part(make_job(tmp_path, GOOD))
        assert worker_ids() == [worker]
    stop_workers()
    assert {state_of(process) for process in (server, worker)} == {"X"}


def test_no_more_workers_run_than_a_run_may_use(tmp_path):
    jobs = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        jobs.append(make_job(folder, GOOD))
    with bounded(1, None, tmp_path):
        threads = [threading.Thread(target=parse_part, args=[job]) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(worker_ids()) == 1  # idle workers are kept
    assert all(outcomes(job) == expected(GOOD) for job in jobs)


def test_messages_are_read_as_they_were_written():
    limits = Limits(9, 2, 3, 4.5, 6.5, ("dml",))
    request = ParseRequest(["SELECT 'é'"], "mysql", limits, {3: "why"}, 1.5)
    assert decode_request(encode_request(request)) == request
    answer = ParseAnswer(["SELECT", None], [None, "empty"], ["0" * 32, None], 7)
    assert decode_answer(encode_answer(answer)) == answer


def test_limits_reach_the_worker(tmp_path):
    job = make_job(tmp_path, ["SELECT ((1))", "SELECT 1 FROM a"])
    limits = Limits(max_characters=13, max_brackets=1)
    parse_part(ParseJob(job.source, 0, job.destination, "sqlite", limits))
    reasons = [reason for _, reason in outcomes(job)]
    assert reasons == ["nested deeper than 1 brackets", "longer than 13 characters"]


# Harmful queries


@pytest.mark.parametrize(
    ("query", "dialect"),
    [
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "sqlite"),
        ("SELECT " + "[" * 5000 + "1" + "]" * 5000, "duckdb"),
        ("SELECT * FROM " + "(SELECT * FROM " * 5000 + "a" + ")" * 5000, "sqlite"),
    ],
)
def test_deep_brackets_are_the_reason(tmp_path, query, dialect):
    job = make_job(tmp_path, [GOOD[0], query, GOOD[1]], dialect)
    report = parse_part(job)
    assert outcomes(job)[1] == (None, "nested deeper than 200 brackets")
    assert [outcomes(job)[0], outcomes(job)[2]] == expected(GOOD[:2], dialect)
    assert report.n_crashed == 0


def test_nesting_without_brackets_loses_no_other_query(tmp_path):
    """Which of these a parser survives depends on its build. All queries between are parsed."""
    deep = [
        "SELECT " + "NOT " * 20_000 + "1",
        "SELECT " + "- " * 40_000 + "1",
        "SELECT " + "CASE WHEN a THEN b ELSE " * 3000 + "1" + " END" * 3000,
        "SELECT " + "INTERVAL " * 9000 + "1 day",
        "SELECT " + ".".join("a" * 40_000) + " FROM b",
        "SELECT " + "+".join("1" * 40_000),
        "SELECT 1 WHERE " + " AND ".join("a" * 14_000),
        " UNION ".join(["SELECT 1"] * 6000),
        "SELECT a" + "::int" * 18_000,
    ]
    queries = [query for pair in zip(deep, GOOD * 3, strict=True) for query in pair]
    job = make_job(tmp_path, queries)
    report = parse_part(job)
    assert outcomes(job)[1::2] == expected(GOOD * 3)
    assert all((template is None) != (reason is None) for template, reason in outcomes(job))
    assert report.n_queries == len(queries)


@pytest.mark.fault
def test_a_query_that_ends_the_parser_is_rejected_and_no_other(tmp_path):
    queries = [*GOOD, DEEP, *GOOD]
    job = make_job(tmp_path, queries, "tsql")
    with stack_of(1_000_000):
        report = parse_part(job)
    assert report == ParseReport(n_queries=7, n_rejected=1, crashed=(3,))
    assert outcomes(job)[3] == (None, "ends the parser's process")
    assert outcomes(job)[:3] == outcomes(job)[4:] == expected(GOOD, "tsql")


@pytest.mark.fault
def test_each_of_several_harmful_queries_is_found(tmp_path):
    queries = [DEEP, GOOD[0], DEEP + " ", DEEP + "  ", GOOD[1]]
    job = make_job(tmp_path, queries, "tsql")
    with stack_of(1_000_000):
        report = parse_part(job)
    assert report.n_crashed == 3
    assert [template for template, _ in outcomes(job)] == [
        *(None, expected(GOOD, "tsql")[0][0]),
        *(None, None, expected(GOOD, "tsql")[1][0]),
    ]


@pytest.mark.fault
def test_a_query_that_never_ends_is_rejected_and_no_other(tmp_path):
    job = make_job(tmp_path, [*GOOD, SLOW, *GOOD], limits=patient(0.5))
    before = time.monotonic()
    report = parse_part(job)
    # Three starts of a worker, and a wait for the query.
    assert time.monotonic() - before < 20
    assert report.n_crashed == 1
    reason = "takes longer than 0.5 s to parse (NL2SQL_ALIGN_QUERY_SECONDS)"
    assert outcomes(job)[3] == (None, reason)
    assert outcomes(job)[:3] == outcomes(job)[4:] == expected(GOOD)


def test_a_start_may_take_longer_than_a_query(tmp_path):
    job = make_job(tmp_path, GOOD, limits=patient(0.05))
    parse_part(job)
    assert outcomes(job) == expected(GOOD)


@pytest.mark.fault
def test_a_query_that_the_parser_backtracks_on_takes_little_memory(tmp_path):
    """Without frequent collections, discarded trees took 400 MB here."""
    job = make_job(tmp_path, ["SELECT 1 FROM a" + " JOIN a" * 17])
    parse_part(job)
    [worker] = worker_ids()
    status = Path(f"/proc/{worker}/status").read_text()
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    assert int(peak) < 250_000  # kB


def test_an_error_in_our_own_rules_rejects_the_query():
    class Failing(Templatizer):
        def __call__(self, sql):
            if sql == GOOD[1]:
                raise IndexError("list index out of range")
            return super().__call__(sql)

    with tempfile.TemporaryFile() as progress:
        request = ParseRequest(GOOD, "sqlite", Limits(), {}, 20)
        answer = parse_queries(request, Failing("sqlite"), progress)
        assert read_row(progress) == NO_ROW
    found = list(zip(answer.templates, answer.reject_reasons, strict=True))
    assert found[1] == (None, "fails in the parser: IndexError")
    assert [found[0], found[2]] == [expected(GOOD)[0], expected(GOOD)[2]]
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_one_query_is_parsed_as_in_a_run():
    with stack_of(1_000_000):
        assert template_of(DEEP, "tsql").reject_reason == "ends the parser's process"
    assert template_of("SELECT a FROM b").template == "SELECT FROM"


# Accidents


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_worker_killed_at_work_loses_nothing(tmp_path, number):
    job = make_job(tmp_path, MANY)
    killed = []

    def kill():
        killed.append(wait_for(busy_worker))
        os.kill(killed[0], number)

    thread = threading.Thread(target=kill)
    thread.start()
    report = parse_part(job)
    thread.join()
    assert worker_ids() not in ([], killed)
    assert report == ParseReport(n_queries=len(MANY), n_rejected=0)
    assert outcomes(job) == expected(MANY)


@pytest.mark.fault
def test_a_worker_killed_between_two_parts_is_replaced(tmp_path):
    job = make_job(tmp_path, GOOD)
    parse_part(job)
    [worker] = worker_ids()
    os.kill(worker, signal.SIGKILL)
    wait_for_end(worker)
    assert parse_part(job).n_crashed == 0
    assert outcomes(job) == expected(GOOD)
    assert worker_ids() not in ([], [worker])


@pytest.mark.fault
@pytest.mark.parametrize("when", ["idle", "at work", "starting"])
def test_the_forking_process_is_replaced_after_it_was_killed(tmp_path, when):
    if when == "idle":
        parse_part(make_job(tmp_path, GOOD))
    elif when == "starting":
        start_worker()
    job = make_job(tmp_path, MANY)
    killed = []

    def kill():
        if when == "at work":
            wait_for(busy_worker)
        [server] = children_of(os.getpid())
        killed.extend([server, *children_of(server)])
        os.kill(server, signal.SIGKILL)
        wait_for_end(server)

    thread = threading.Thread(target=kill)
    thread.start()
    if when != "at work":
        thread.join()
    report = parse_part(job)
    thread.join()
    assert report == ParseReport(n_queries=len(MANY), n_rejected=0)
    assert outcomes(job) == expected(MANY)
    # Only the system can end a worker of the killed process that hangs. Later workers are ended.
    slow = make_job(tmp_path, [SLOW], limits=patient(0.2))
    assert parse_part(slow).n_crashed == 1
    [server] = children_of(os.getpid())
    assert server not in killed
    wait_for_end(*killed)


def check_failure(job, *parts):
    with pytest.raises(AlignError) as caught:
        parse_part(job)
    message = str(caught.value)
    assert message.startswith("queries cannot be parsed: the parser's process does not run (")
    assert "\n" not in message
    for part in parts:
        assert part in message
    assert caught.value.exit_code == 1
    assert not job.destination.exists()


@pytest.mark.fault
def test_a_worker_that_cannot_be_started_gives_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    check_failure(make_job(tmp_path, GOOD), "No such file or directory", "no-python")


@pytest.mark.fault
def test_a_worker_that_ends_at_once_gives_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    check_failure(make_job(tmp_path, GOOD), "it says nothing")


@pytest.mark.fault
def test_a_worker_that_cannot_be_forked_gives_one_line(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "def fork():\n"
        "    raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "os.fork = fork\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check_failure(make_job(tmp_path, GOOD), "Resource temporarily unavailable")


@pytest.mark.fault
def test_the_last_line_of_a_worker_that_cannot_start_is_reported(tmp_path, monkeypatch):
    (tmp_path / "sqlglot.py").write_text("raise ImportError('no sqlglot for this machine')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check_failure(make_job(tmp_path, GOOD), "ImportError: no sqlglot for this machine")


@pytest.mark.fault
def test_templates_that_cannot_be_written_give_one_line(tmp_path):
    job = make_job(tmp_path, GOOD)
    destination = job.source / "templates.parquet"
    with pytest.raises(AlignError) as caught:
        parse_part(ParseJob(job.source, 0, destination, "sqlite"))
    assert str(caught.value).startswith(f"{destination} cannot be written (")


def test_workers_are_started_ahead_up_to_the_limit(tmp_path):
    with bounded(2, None, tmp_path):
        for _ in range(3):
            start_worker()
        workers = wait_for(lambda: worker_ids() if len(worker_ids()) == 2 else None)
        parse_part(make_job(tmp_path, GOOD))
    assert sorted(worker_ids()) == sorted(workers)


def test_workers_parse_in_dialects_that_were_loaded_ahead(tmp_path):
    queries = ["SELECT a FROM b CONNECT BY PRIOR c = d", "SELECT a FROM WHERE"]
    start_worker(["mysql", "oracle"])
    job = make_job(tmp_path, queries, "oracle")
    assert parse_part(job).n_rejected == 1
    assert outcomes(job) == expected(queries, "oracle")


def test_the_forking_process_ends_with_the_last_worker(tmp_path):
    job = make_job(tmp_path, MANY)
    with bounded(2, None, tmp_path):
        start_worker()
        start_worker()
        thread = threading.Thread(target=parse_part, args=[job])
        thread.start()
        at_work = wait_for(busy_worker)
        [server] = children_of(os.getpid())
        stop_workers()  # the idle one
        assert children_of(os.getpid()) == [server]
        assert worker_ids() == [at_work]
        thread.join()
        assert outcomes(job) == expected(MANY)
        stop_workers()
    assert state_of(server) == "X"


def test_a_part_of_many_characters_is_parsed_in_several_requests(tmp_path):
    queries = [*GOOD, "SELECT 1 FROM " + "a" * 80, "", *GOOD, "PRAGMA a", DEEP]
    job = make_job(tmp_path, queries, "tsql")
    with stack_of(1_000_000):
        report = parse_part(job, characters_per_request=40)
    assert report == ParseReport(n_queries=10, n_rejected=3, crashed=(9,))
    assert outcomes(job)[:-1] == expected(queries[:-1], "tsql")
    assert outcomes(job)[-1] == (None, "ends the parser's process")


def test_parses_are_shared_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv(SHARE_PARSES_VARIABLE, raising=False)
    assert parses_are_shared()
    monkeypatch.setenv(SHARE_PARSES_VARIABLE, "0")
    assert not parses_are_shared()


@pytest.mark.fault
def test_output_of_the_parser_is_not_taken_for_an_answer(tmp_path, monkeypatch):
    printed = tmp_path / "printed"
    (tmp_path / "sitecustomize.py").write_text(
        "from nl2sql_align.tasks.templates.templatizer import Templatizer\n"
        "templatize = Templatizer.__call__\n"
        "def print_first(self, sql):\n"
        "    print('{}', flush=True)\n"
        f"    print('{{}}', file=open({str(printed)!r}, 'a'))\n"
        "    return templatize(self, sql)\n"
        "Templatizer.__call__ = print_first\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job = make_job(tmp_path, GOOD)
    parse_part(job)
    assert outcomes(job) == expected(GOOD)
    assert printed.read_text() == "{}\n" * len(GOOD)


def test_modules_in_the_users_folder_do_not_hide_ours(tmp_path, monkeypatch):
    for name in ("tasks", "sqlglot"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    job = make_job(tmp_path, GOOD)
    parse_part(job)
    assert outcomes(job) == expected(GOOD)


def test_workers_ignore_ctrl_c(tmp_path):
    job = make_job(tmp_path, GOOD)
    parse_part(job)
    workers = worker_ids()
    for process in (*children_of(os.getpid()), *workers):
        os.kill(process, signal.SIGINT)
    time.sleep(0.1)
    parse_part(job)
    assert worker_ids() == workers
