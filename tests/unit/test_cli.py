"""The command line as a user sees it: in its own process, with and without a terminal."""

import csv
import fcntl
import importlib.metadata
import inspect
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import duckdb
import polars as pl
import pytest
import typer

from nl2sql_align import __version__
from nl2sql_align.flows.cli import app, invoke
from nl2sql_align.tasks.base.errors import (
    AlignError,
    ConfigurationError,
    RequirementError,
    WarehouseError,
)
from nl2sql_align.tasks.decisions.selection import SelectionOptions
from nl2sql_align.tasks.decisions.training_files import TrainingOptions
from nl2sql_align.tasks.results.read import matrix, ratio, rejects
from nl2sql_align.tasks.templates.one_query import template_of
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.usefixtures("one_parser_process")

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
COMMAND = str(Path(sys.executable).with_name("nl2sql-align"))
COMMANDS = (
    "run",
    "compare",
    "demo",
    "init",
    "matrix",
    "ratio",
    "slices",
    "rejects",
    "explain",
    "headroom",
    "calibrate",
    "sample-size",
    "select",
    "mix",
    "gaps",
    "check",
    "template",
    "inspect",
    "fingerprint",
    "show",
    "catalog",
    "report",
    "relocate",
    "plot",
    "nightly",
)

# Control sequences of a terminal, and markup of Rich.
ESCAPES = "\x1b[31m\x1b]0;title\x07\x08\x7f\x9b31m\u202e"
MARKUP = "[red]x[/red] [/] :warning: x::date::text [link=http://example.org]"
HOSTILE = f"{ESCAPES} {MARKUP} \\"

COLOURS = re.compile("\x1b\\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[0-9;]*)?m")
SEQUENCES = re.compile("\x1b\\[[0-9;?]*[a-zA-Z]")


@dataclass
class Ended:
    """The exit status and output of a command."""

    status: int
    out: str
    err: str = ""

    @property
    def error_lines(self):
        return self.err.splitlines()


def environment(**variables):
    """The environment of this process, without variables that change how output looks."""
    names = "NO_COLOR FORCE_COLOR PY_COLORS CLICOLOR_FORCE TTY_COMPATIBLE GITHUB_ACTIONS COLUMNS"
    kept = {name: value for name, value in os.environ.items() if name not in names.split()}
    return {**kept, "TERM": "xterm-256color", **variables}


def cli(*arguments, **keywords):
    """Run a command without a terminal."""
    variables = keywords.pop("variables", {})
    ended = subprocess.run(
        [COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=3000,
        env=environment(**variables),
        **keywords,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def cli_on_terminal(*arguments, columns=80, variables=None, keys=None):
    """Run a command on its own terminal.

    ``keys`` is called repeatedly with the output so far, and returns the bytes to type.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env=environment(**variables or {}),
    )
    os.close(theirs)
    shown, until = b"", time.monotonic() + 600
    while time.monotonic() < until:
        if select.select([ours], [], [], 0.05)[0]:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the terminal is closed by its last process
                break
            if not piece:
                break
            shown += piece
        elif process.poll() is not None:
            break
        typed = keys(shown.decode(errors="replace")) if keys else b""
        if typed:
            os.write(ours, typed)
    os.close(ours)
    return Ended(process.wait(timeout=300), shown.decode())


@pytest.fixture
def cli_here(monkeypatch, capsys):
    """Run a command in this process, which is faster. Its output is 80 columns wide."""

    def run(*arguments, **variables):
        with monkeypatch.context() as patch:
            for name in {*os.environ} - {*environment()}:
                patch.delenv(name)
            for name, value in {"COLUMNS": "80", **variables}.items():
                patch.setenv(name, value)
            status = invoke([*map(str, arguments)])
        written = capsys.readouterr()
        return Ended(status, written.out, written.err)

    return run


def marked(mark):
    """The command lines of all processes that have a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


# Runs. Each starts Prefect, which takes ten seconds, so all of them run at the same time.


@dataclass
class Run:
    """A run, its warehouse, and the processes that outlived it."""

    ended: Ended
    warehouse: Path
    left: list[str]


HARMFUL = [
    f"SELECT {MARKUP} FROM",
    f"SELECT '{ESCAPES}' FROM FROM",
    f"{ESCAPES} not SQL",
    f"SELECT a FROM {ESCAPES}",
]


def write_corpora(folder):
    """Write a corpora file with a valid target and damaged corpora."""
    folder.mkdir()
    objects = [{"query": sql, "question": "?", "db_id": "d"} for sql in [*HARMFUL, "SELECT a"]]
    (folder / "hostile.json").write_text(json.dumps(objects))
    (folder / "keys.json").write_text(json.dumps([{f"{HOSTILE} {i}": i for i in range(3)}]))
    (folder / "good.sql").write_text("SELECT a FROM b\nSELECT count(*) FROM b GROUP BY c\n")
    (folder / "cut.json").write_text('[{"query": "SELECT 1", "db_')
    entry = '[[corpus]]\nname="{}"\nrole="{}"\nformat="{}"\ndialect="sqlite"\npath="{}"\n'
    path = folder / "corpora.toml"
    path.write_text(
        entry.format("good", "target", "lines", "good.sql")
        + entry.format("hostile", "train", "spider", "hostile.json")
        + entry.format("keys", "train", "spider", "keys.json")
        + entry.format("cut", "train", "spider", "cut.json")
        + entry.format("missing", "train", "lines", r"no\u001b[31m [red]\u0007 such.sql")
        + entry.format("answers", "predictions", "lines", "good.sql")
        + f"target='good'\nmodel={json.dumps(MARKUP + ESCAPES[:5])}\n"
    )
    return path


def write_long_corpora(folder):
    """Write a corpora file that takes long enough to parse to be interrupted."""
    folder.mkdir()
    lines = "\n".join("SELECT " + ", ".join("ab" * (i % 90)) + f" c{i}" for i in range(60_000))
    (folder / "long.sql").write_text(lines)
    path = folder / "corpora.toml"
    path.write_text(
        '[[corpus]]\nname="long"\nrole="train"\nformat="lines"\ndialect="sqlite"\npath="long.sql"\n'
    )
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory, empty_prefect_database):
    """All runs that the tests check, by name."""
    folder = tmp_path_factory.mktemp("cli")
    home = folder / "prefect"
    harmful, long = write_corpora(folder / "harmful"), write_long_corpora(folder / "long")

    def prepare():
        mark = f"marked-{uuid4().hex}"
        return mark, {"PREFECT_HOME": str(home), "NL2SQL_ALIGN_TEST": mark, "COLUMNS": "80"}

    def collect(name, ended):
        warehouse, mark = folder / f"warehouse-{name}", marks[name]
        # A child that has received its signal may need a moment to end.
        until = time.monotonic() + 5
        while (left := marked(mark)) and time.monotonic() < until:
            time.sleep(0.1)
        return Run(ended, warehouse, left)

    marks, variables = {}, {}
    for name in ("terminal", "plain", "interrupted"):
        marks[name], variables[name] = prepare()

    def arguments(name, file):
        return "run", file, "--warehouse", folder / f"warehouse-{name}"

    def terminal():
        line = arguments("terminal", SAMPLES / "corpora.toml")
        return cli_on_terminal(*line, variables=variables["terminal"])

    def plain():
        return cli(*arguments("plain", harmful), variables=variables["plain"])

    def interrupted():
        presses = []

        def press(shown):
            if not presses and "templates" in shown:
                presses.append(b"\x03")
                return presses[0]
            return b""

        line = arguments("interrupted", long)
        return cli_on_terminal(*line, variables=variables["interrupted"], keys=press)

    with ThreadPoolExecutor() as pool:
        waiting = {
            function.__name__: pool.submit(function) for function in (terminal, plain, interrupted)
        }
        return {name: collect(name, future.result()) for name, future in waiting.items()}


@pytest.fixture(scope="session")
def samples(runs):
    """The warehouse of the sample corpora."""
    return runs["terminal"].warehouse


def check_quiet(text):
    """Check that there is no traceback and no log line of Prefect or its server."""
    for word in (
        "Traceback",
        "Error:",
        "uvicorn",
        "INFO",
        "WARNING",
        "Finished in state",
        "nanobind",
    ):
        assert word not in text, text
    assert len(re.findall("(?i)prefect", text)) <= 1  # "starting Prefect"


@pytest.mark.flow
def test_a_run_on_a_terminal_shows_bars_and_ends_well(runs):
    run = runs["terminal"]
    shown = SEQUENCES.sub("", run.ended.out)
    assert run.ended.status == 0
    check_quiet(shown)
    # Cleaned predictions are also parsed as written, which is not reported.
    for stage in ("ingest", "templates", "ngrams"):
        assert re.search(rf"{stage} +━+ 7/7 ", shown), stage
    assert "7 corpora used, 0 set aside; " in shown
    # The cursor, hidden by the bars, is visible again.
    assert run.ended.out.count("\x1b[?25h") == run.ended.out.count("\x1b[?25l") == 1
    lines = shown.replace("\r", "").splitlines()
    at = lines.index(f"Results: {run.warehouse}/alignment.duckdb")
    assert lines[at + 1] == f"Report:  {run.warehouse}/report.html"
    text, next_steps = " ".join(" ".join(lines[at + 2 :]).split()).split("Where to look next:")
    first, second, third = re.split(r" ?\d\. ", text)[1:]
    assert first == "Closest training sets: harbour-train to orchard-dev (0.91)."
    assert "the surest gain:" in second and "1.32 (1.24 to 1.43)" in second
    assert third.startswith("No warnings: at least 97% of every corpus parses")
    assert f"nl2sql-align explain {run.warehouse} harbour-train orchard-dev " in next_steps
    # Rates and times beside each bar
    assert re.search(r"ingest +━+ 7/7 +[\d.]+/s 0:00:\d\d 0:00:\d\d ", shown)
    assert (run.warehouse / "report.html").is_file()
    assert (run.warehouse / "alignment.duckdb").is_file()


@pytest.mark.flow
def test_a_run_without_a_terminal_writes_plain_lines(runs):
    ended = runs["plain"].ended
    assert ended.status == 3
    check_quiet(ended.err)
    assert "\x1b" not in ended.out + ended.err
    first, *lines = ended.error_lines
    assert first.endswith("corpora.toml; starting Prefect")
    # Parsing the first corpora may end before the last one is read.
    read = [line.split(":")[0] for line in lines if line.startswith("ingest ")]
    assert read == [f"ingest {n}/6" for n in range(1, 7)]
    assert lines[-1].startswith("3 corpora used, 3 set aside; ")
    results, report, *others = ended.out.splitlines()
    assert results == f"Results: {runs['plain'].warehouse}/alignment.duckdb"
    assert report == f"Report:  {runs['plain'].warehouse}/report.html"
    at = others.index("Where to look next:")
    sentences = re.split(r"^  \d\. ", "\n".join(others[:at]), flags=re.MULTILINE)[1:]
    assert 1 <= len(sentences) <= 3
    assert all(sentence.rstrip().endswith(".") for sentence in sentences)
    commands = [line.strip() for line in others[at + 1 :] if line.startswith("  nl2sql-align")]
    assert commands[0] == f"nl2sql-align ratio {runs['plain'].warehouse}"
    assert commands[1] == f"nl2sql-align matrix {runs['plain'].warehouse}"
    assert commands[-1].startswith(f"nl2sql-align rejects {runs['plain'].warehouse} ")


@pytest.mark.flow
@pytest.mark.fault
def test_each_corpus_set_aside_is_named_with_its_cause(runs):
    line = re.compile(r"^nl2sql-align: set aside: corpus '(\w+)' \(.*?\): (.*)$", re.MULTILINE)
    reasons = dict(line.findall(runs["plain"].ended.err))
    assert reasons.keys() == {"keys", "cut", "missing"}
    assert "does not exist; check path" in reasons["missing"]
    assert "is damaged or not in format 'spider'" in reasons["cut"]
    assert "has no queries where format 'spider' stores them" in reasons["keys"]
    # The content of the dump is shown as text, and long names are shortened.
    assert MARKUP[:36] in reasons["keys"]


@pytest.mark.flow
@pytest.mark.fault
def test_ctrl_c_ends_a_run_and_leaves_the_warehouse_free(runs):
    run = runs["interrupted"]
    assert run.ended.status == 130
    check_quiet(run.ended.out)
    assert "^C" in run.ended.out
    shown = SEQUENCES.sub("", run.ended.out).splitlines()
    assert shown[-1] == (
        "nl2sql-align: stopped; finished work is kept, and the same command goes on from there"
    )
    assert run.ended.out.count("\x1b[?25h") == 1
    assert not (run.warehouse / "alignment.duckdb").exists()
    assert not (run.warehouse / "stages" / "scratch").exists()
    with Warehouse(run.warehouse).locked():
        pass


def test_ctrl_c_ends_other_commands_in_one_line(monkeypatch, cli_here, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("nl2sql_align.tasks.results.read.matrix", interrupt)
    ended = cli_here("matrix", tmp_path)
    assert (ended.status, ended.out) == (130, "")
    assert ended.error_lines == ["nl2sql-align: stopped; the same command starts again"]


@pytest.mark.parametrize(
    "error", [RuntimeError("Query interrupted"), duckdb.InvalidInputException("reading failed")]
)
def test_an_interrupt_stays_one_if_a_library_makes_another_error_of_it(
    monkeypatch, cli_here, tmp_path, error
):
    def interrupt(*_, **__):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None

    monkeypatch.setattr("nl2sql_align.tasks.results.read.matrix", interrupt)
    ended = cli_here("matrix", tmp_path)
    assert (ended.status, ended.out) == (130, "")
    assert ended.error_lines == ["nl2sql-align: stopped; the same command starts again"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


WAIT = """
import atexit, time
from nl2sql_align.flows.running.command import exit_on_signals
exit_on_signals()
atexit.register(print, "ended in order")
print("ready", flush=True)
time.sleep({seconds})
"""


def send(number, *prefix, seconds=60):
    """The output and exit status of a process that handles signals as a run does."""
    line = [*prefix, sys.executable, "-c", WAIT.format(seconds=seconds)]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment()
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        return process.stdout.read(), process.wait(timeout=300)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_run_ends_in_order_on_a_signal(number, status):
    """Exit handlers run: one of them stops Prefect's server."""
    assert send(number) == ("ended in order\n", status)


def test_a_run_continues_under_nohup():
    assert send(signal.SIGHUP, "nohup", seconds=1) == ("ended in order\n", 0)


OWNER = """
import sys
from nl2sql_align.flows.running.temporary_server import TemporaryServer
server = TemporaryServer()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.mark.fault
@pytest.mark.parametrize("number", [signal.SIGKILL, None], ids=["killed", "ended"])
def test_the_server_of_a_run_ends_with_it(tmp_path, number):
    mark = f"marked-{uuid4().hex}"
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(NL2SQL_ALIGN_TEST=mark, PREFECT_HOME=str(tmp_path)),
    ) as owner:
        assert owner.stdout.readline() == b"started\n"
        until = time.monotonic() + 30
        while len(marked(mark)) < 2:  # a process that starts has no environment at first
            assert time.monotonic() < until
            time.sleep(0.02)
        if number is not None:
            owner.send_signal(number)
    until = time.monotonic() + 30
    while marked(mark):
        assert time.monotonic() < until, marked(mark)
        time.sleep(0.02)


@pytest.mark.flow
@pytest.mark.parametrize("name", ["terminal", "plain", "interrupted"])
def test_no_process_outlives_its_run(runs, name):
    assert runs[name].left == []


@pytest.mark.flow
def test_runs_share_no_database(runs, cache):
    home = runs["plain"].warehouse.parent / "prefect"
    version = importlib.metadata.version("prefect")
    assert list(home.rglob("*.db*")) == []
    assert [file.name for file in cache.rglob("*.db*")] == [f"prefect-{version}.db"]


# Mistakes, reported before Prefect starts

LISTED = '[[corpus]]\nname="a"\nrole="train"\nformat="lines"\ndialect="sqlite"\npath="a.sql"\n'
PREDICTED = LISTED.replace("train", "predictions").replace('"a"', '"b"') + 'model="m"\n'
MISTAKES = {
    "malformed": ("[[corpus]\n", "is not valid TOML"),
    "not UTF-8": (b"name = '\xe9'", "is not UTF-8"),
    "empty": ("", "lists no corpus"),
    "unknown key": (LISTED + 'dialekt="sqlite"\n', "corpus 'a': unknown key 'dialekt'; did you"),
    "missing key": (LISTED.replace('path="a.sql"\n', ""), "corpus 'a': key 'path' is missing"),
    "duplicate name": (LISTED * 2, "corpus 'a': key 'name': 2 corpora have this name"),
    "target not listed": (LISTED + PREDICTED + 'target="c"\n', "key 'target': 'c' is not listed"),
    "target missing": (LISTED + PREDICTED, "corpus 'b': key 'target' is missing"),
    "unknown format": (LISTED.replace("lines", "linen"), "unknown format 'linen'; did you mean"),
    "unknown dialect": (LISTED.replace("sqlite", "sqlight"), "unknown dialect 'sqlight'"),
    "hostile": (LISTED.replace('"a"', r'"\u001b[31m[red]"'), "key 'name'"),
}


@pytest.mark.fault
def test_a_run_in_a_warehouse_in_use_is_refused(tmp_path, cli_here):
    with Warehouse(tmp_path).locked():
        ended = cli_here("run", SAMPLES / "corpora.toml", "--warehouse", tmp_path)
    assert (ended.status, ended.out) == (1, "")
    assert ended.error_lines == [
        f"nl2sql-align: {tmp_path} is in use by process {os.getpid()} on {os.uname().nodename}; "
        "wait for it to end, or choose another --warehouse"
    ]


@pytest.mark.fault
def test_a_warehouse_that_cannot_be_written_is_reported_in_one_line(tmp_path, cli_here):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        ended = cli_here("run", SAMPLES / "corpora.toml", "--warehouse", folder)
        assert (ended.status, ended.out) == (1, "")
        [line] = ended.error_lines
        assert line.startswith(f"nl2sql-align: {folder} cannot be written (")
        assert line.endswith("); choose another --warehouse")


def check_usage_error(ended, words):
    assert ended.status == 2
    assert ended.out == ""
    [line] = ended.error_lines
    assert line.startswith("nl2sql-align: ")
    assert words in line
    assert "\x1b" not in line


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_corpora_file_is_reported_in_one_line(tmp_path, name, cli_here):
    content, words = MISTAKES[name]
    path = tmp_path / "corpora.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = cli_here("run", path, "--warehouse", tmp_path / "warehouse")
    check_usage_error(ended, words)
    assert str(path) in ended.err
    assert not (tmp_path / "warehouse").exists()


def test_a_missing_corpora_file_is_reported_in_one_line(tmp_path, cli_here):
    check_usage_error(
        cli_here("run", tmp_path / "none.toml"), "none.toml: cannot be read (No such file"
    )
    check_usage_error(cli_here("run", tmp_path), "cannot be read (Is a directory)")


def test_invalid_limits_are_reported_in_one_line(cli_here):
    file = SAMPLES / "corpora.toml"
    memory = cli_here("run", file, "--memory-limit", "much")
    check_usage_error(memory, "'much' is not a memory limit")
    threads = cli_here("run", file, NL2SQL_ALIGN_THREADS="all")
    check_usage_error(threads, "'all' is not a number of threads")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["run"],
        ["run", "a", "b"],
        ["run", "a", "--threads", "0"],
        ["run", "a", "--speed", "9"],
        ["matrix"],
        ["select", "a", "--target", "b", "--out", "c", "--budget", "many"],
        ["rejects", "a"],
        ["template"],
    ],
)
def test_wrong_usage_exits_with_2_and_an_explanation(arguments, cli_here):
    ended = cli_here(*arguments)
    assert ended.status == 2
    assert ended.out == ""
    assert "Usage: nl2sql-align" in ended.err
    assert "Traceback" not in ended.err


# Prefect reads its settings again: a process of its own for each case would import it each time.
WITHOUT_SERVER = """
import json, os, sys
from nl2sql_align.flows.cli import invoke

for variables in json.loads(sys.argv[1]):
    os.environ.update(variables)
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context
        refresh_global_settings_context()
    print("status", invoke(["run", sys.argv[2], "--warehouse", "w"]), file=sys.stderr)
    for name in variables:
        del os.environ[name]
"""


@pytest.mark.flow
def test_a_server_that_does_not_answer_is_reported_in_one_line(tmp_path):
    (tmp_path / "far.toml").write_text(
        'active = "far"\n[profiles.far]\nPREFECT_API_URL = "http://127.0.0.1:8/api"\n'
    )
    servers = [
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, ":9/api does not answer"),
        ({"PREFECT_PROFILES_PATH": "far.toml"}, ":8/api does not answer"),
        ({"PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}, "forbid a temporary server"),
    ]
    given = [json.dumps([variables for variables, _ in servers]), str(SAMPLES / "corpora.toml")]
    mark = f"marked-{uuid4().hex}"
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVER, *given],
        capture_output=True,
        text=True,
        timeout=3000,
        env=environment(PREFECT_HOME=str(tmp_path), NL2SQL_ALIGN_TEST=mark),
        cwd=tmp_path,
    )
    lines = [line for line in ended.stderr.splitlines() if not line.endswith("starting Prefect")]
    assert lines[1::2] == ["status 1"] * len(servers)
    for (_, words), line in zip(servers, lines[::2], strict=True):
        assert line.startswith("nl2sql-align: ")
        assert words in line
    assert not (tmp_path / "w" / "alignment.duckdb").exists()
    assert marked(mark) == []


# Commands that only read results


READING = """
import json, sys
from nl2sql_align.flows.cli import main

loaded, (_, lines, file) = [], sys.argv
for line in json.loads(lines):
    sys.argv[1:] = line
    try:
        main()
    except SystemExit:
        loaded.append([*sys.modules])
with open(file, "w") as written:
    json.dump(loaded, written)
"""


@pytest.mark.flow
def test_commands_that_only_read_do_not_import_prefect(samples, tmp_path):
    """Nor pandas: PyArrow would, where it is installed, for half a second of each process."""
    lines = [
        ["--help"],
        ["--version"],
        ["run", tmp_path / "none.toml"],  # a mistake
        ["template", "SELECT a"],
        ["matrix", samples],
        ["ratio", samples, "--format", "json"],
        ["rejects", samples, "harbour-train", "--format", "csv"],
        ["explain", samples, "synth-train", "orchard-dev"],
        ["inspect", SAMPLES / "harbour-train.json"],
    ]
    ended = subprocess.run(
        [sys.executable, "-c", READING, json.dumps(lines, default=str), tmp_path / "loaded"],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(),
    )
    assert ended.returncode == 0, ended.stderr
    loaded = json.loads((tmp_path / "loaded").read_text())
    assert len(loaded) == len(lines)
    for number, modules in enumerate(map(set, loaded)):
        assert "typer" in modules
        heavy = {"prefect", "fastapi", "sqlalchemy", "uvicorn", "numpy.f2py"}
        heavy |= {name for name in modules if name.startswith("pandas.")}
        heavy |= {"polars", "duckdb"} if number < 2 else set()
        assert not modules & heavy, lines[number]
    assert "pyarrow.lib" in modules
    for shown in ("harbour-train", "SELECT", "sprig-1b-base", "window functions"):
        assert shown in ended.stdout


def test_version_is_that_of_the_package(cli_here):
    ended = cli_here("--version")
    assert (ended.status, ended.out, ended.err) == (0, f"nl2sql-align {__version__}\n", "")


@pytest.mark.flow
def test_matrix_shows_a_table_of_the_targets(samples, cli_here):
    ended = cli_here("matrix", samples)
    assert (ended.status, ended.err) == (0, "")
    header, *lines, first, second = ended.out.splitlines()
    assert f"{first} {second}".startswith("Rows are sources, columns are targets. Higher is closer")
    assert header.split() == ["kl_alignment", "of", "…", "role", "parsed", "orchard-dev"]
    assert [line.split()[:2] for line in lines] == [
        ["harbour-train", "train"],
        ["ledger-train", "train"],
        ["synth-train", "train"],
        ["orchard-dev", "target"],
        ["sprig-1b-base", "predictions"],
        ["sprig-1b-tuned", "predictions"],
        ["oak-7b-base", "predictions"],
        ["(ceiling)", f"{matrix(samples)['target_ceiling'].drop_nulls()[0]:.3f}"],
    ]
    values = {line.split()[0]: line.split()[3:] for line in lines}
    assert values["orchard-dev"] == []
    assert 0.8 < float(values["harbour-train"][0]) < 1


@pytest.mark.flow
def test_matrix_shows_any_measure_and_every_corpus(samples, cli_here):
    every = cli_here("matrix", samples, "--all", "--metric", "js_nats").out
    assert "js_nats of …" in every
    for name in matrix(samples)["target"].unique():
        assert name in every


@pytest.mark.flow
@pytest.mark.parametrize("command", ["matrix", "ratio", "rejects"])
def test_json_and_csv_equal_the_result_of_the_python_twin(samples, command, cli_here):
    extra = ["harbour-train"] if command == "rejects" else []
    twin = {"matrix": matrix, "ratio": ratio, "rejects": rejects}[command](samples, *extra)
    assert len(twin) > 3
    as_json = cli_here(command, samples, *extra, "--format", "json")
    as_csv = cli_here(command, samples, *extra, "--format", "csv")
    assert (as_json.status, as_json.err, as_csv.status, as_csv.err) == (0, "", 0, "")
    assert json.loads(as_json.out) == twin.to_dicts()
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [*rows[0]] == twin.columns
    assert len(rows) == len(twin)
    for name in (name for name, kind in twin.schema.items() if kind == pl.Float64):
        assert [float(row[name]) if row[name] else None for row in rows] == twin[name].to_list()


@pytest.mark.flow
def test_ratio_shows_which_training_set_is_closer_than_the_model(samples, cli_here):
    out = cli_here("ratio", samples).out
    [block] = [block for block in out.split("\n\n") if block.startswith("sprig-1b-base")]
    above, below = re.split(r"\n  training set .* verdict *\n", block)
    head, model, ceiling, *verdict = above.splitlines()
    best, another, last, *record = below.splitlines()
    assert head == "sprig-1b-base on orchard-dev (model sprig-1b)"
    assert re.fullmatch(r"  KL-alignment of its answers: 0\.\d{2,4}; 9\d\.\d% of them parse", model)
    assert re.fullmatch(r"  ceiling for orchard-dev: 0\.\d{3}, or an AR of 1\.\d{3}", ceiling)
    assert " ".join(map(str.strip, verdict)) == (
        "Fine-tuning on harbour-train should help; on synth-train and ledger-train it should not. "
        "By reach, which judges a training set by its best parts and was right more often in the "
        "study, fine-tuning on synth-train may or may not help."
    )
    others = [another, last]
    assert best.split()[0] == "harbour-train"
    assert best.split()[-1] == "gain" and "no gain" not in best
    assert all(line.rstrip().endswith("no gain") for line in others)
    assert record[0].startswith("  Fine-tuning an untuned model at a ratio of 1.2 to 1.4 gained 2")
    assert "(model sprig-1b, tuned on harbour-train)" in out


@pytest.mark.flow
def test_rejects_counts_reasons_and_shows_examples(samples, cli_here):
    found = rejects(samples, "harbour-train")
    out = cli_here("rejects", samples, "harbour-train").out
    assert out.splitlines()[0] == (
        f"harbour-train: {len(found)} queries rejected; rows are counted from 0"
    )
    assert "more than one statement" in out
    none = cli_here("rejects", samples, "harbour-train", "--examples", "0").out
    assert len(none.splitlines()) < len(out.splitlines())
    assert not re.search(r"^ +\d+: ", none, re.MULTILINE)


@pytest.mark.flow
def test_rejects_of_an_unknown_corpus_lists_the_known_ones(samples, cli_here):
    ended = cli_here("rejects", samples, "harbor")
    check_usage_error(ended, "no corpus 'harbor' in ")
    assert "harbour-train" in ended.err


@pytest.mark.flow
def test_require_sets_the_exit_status(samples, cli_here):
    held = cli_here("matrix", samples, "--require", "kl_alignment > 0.3")
    assert (held.status, held.err) == (0, "")
    failed = cli_here(
        "matrix", samples, "--require", "kl_alignment > 0.9 or target != 'orchard-dev'"
    )
    assert failed.status == 4
    assert failed.out == ""
    [line] = failed.error_lines
    assert re.search(r"it fails for \d of 6 rows, the first: ledger-train, orchard-dev$", line)
    # The other pairs are in the table with --all, and in JSON, which has that of a corpus itself.
    never = ("matrix", samples, "--require", "kl_alignment > 2")
    assert "fails for 42 of 42 rows" in cli_here(*never, "--all").err
    assert "fails for 49 of 49 rows" in cli_here(*never, "--format", "json").err
    ratios = cli_here("ratio", samples, "--require", "alignment_ratio < 2", "--format", "json")
    assert ratios.status == 0
    assert len(json.loads(ratios.out)) == 9
    assert cli_here("ratio", samples, "--require", "alignment_ratio > 1").status == 4


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["matrix", "a", "--metric", "kl_aligment"], "--metric: no choice 'kl_aligment'; did you "),
        (["matrix", "a", "--format", "xml"], "--format: no choice 'xml'; use one of table, json,"),
        (["plot", "ratos", "a", "-o", "b.png"], "KIND: no choice 'ratos'; did you mean 'ratios'?"),
    ],
)
def test_a_wrong_choice_is_refused_in_one_line_with_the_closest(arguments, problem, cli_here):
    check_usage_error(cli_here(*arguments), problem)


@pytest.mark.flow
def test_an_invalid_condition_is_reported_with_the_columns(samples, cli_here):
    for condition in ("kl_aligment > 0", "kl_alignment >", "1; drop table alignment", "(" * 50):
        ended = cli_here("matrix", samples, "--require", condition)
        check_usage_error(ended, "--require: ")
        assert "kl_alignment" in ended.err
    assert cli_here("matrix", samples).status == 0


def test_a_missing_warehouse_is_reported_with_the_command_that_makes_one(tmp_path, cli_here):
    create = "nl2sql-align run CORPORA.toml --warehouse"
    problems = {
        "none": "does not exist; check the name, or create results: {create} {folder}",
        "empty": "contains no results (no alignment.duckdb); create them: {create} {folder}",
        "file": "is not a warehouse (no alignment.duckdb); name the folder of the results, or "
        "create them in another folder: {create} DIR",
    }
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    for name, problem in problems.items():
        folder = tmp_path / name
        for arguments in (["matrix", folder], ["ratio", folder], ["rejects", folder, "a"]):
            ended = cli_here(*arguments)
            assert (ended.status, ended.out) == (1, "")
            [line] = ended.error_lines
            told = problem.format(create=create, folder=folder)
            assert line == f"nl2sql-align: {folder} {told}"


@pytest.mark.fault
def test_damaged_results_are_reported_in_one_line(tmp_path, cli_here):
    (tmp_path / "alignment.duckdb").write_text("this is not a database")
    ended = cli_here("matrix", tmp_path)
    assert (ended.status, ended.out) == (1, "")
    [line] = ended.error_lines
    assert "alignment.duckdb cannot be read (" in line


def test_a_file_in_a_folder_that_does_not_exist_is_refused_before_any_work(tmp_path, cli_here):
    out = tmp_path / "none" / "file.svg"
    for arguments in (
        ["report", tmp_path, "--out", out],
        ["plot", "matrix", tmp_path, "-o", out],
        ["gaps", tmp_path, "a", "b", "-o", out],
        ["fingerprint", tmp_path, "-o", out],
        ["init", tmp_path, "-o", out],
    ):
        ended = cli_here(*arguments)
        check_usage_error(ended, f"{out}: the folder {out.parent} does not exist; create it, or")
    assert not out.parent.exists()


def test_template_prints_a_template_or_the_reason_for_a_rejection(cli_here, monkeypatch):
    ended = cli_here("template", "SELECT a FROM b WHERE c = 'x' -- why")
    assert (ended.status, ended.out, ended.err) == (0, "SELECT FROM WHERE =\n", "")
    ended = cli_here("template", "SELECT `a` FROM b", "--dialect", "postgres")
    assert (ended.status, ended.out) == (1, "")
    assert re.fullmatch("rejected: does not parse: .*\n", ended.err)
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT a\nFROM b\n"))
    ended = cli_here("template", "-")
    assert (ended.status, ended.out) == (0, "SELECT FROM\n")


def test_template_in_json_and_csv(cli_here):
    ended = cli_here("template", "SELECT a", "--format", "json")
    expected = {"dialect": "sqlite", "template": "SELECT", "reject_reason": None}
    assert (ended.status, json.loads(ended.out)) == (0, [expected])
    ended = cli_here("template", "", "--format", "csv", "--dialect", "mysql")
    assert ended.status == 1
    assert ended.out == "dialect,template,reject_reason\nmysql,,empty\n"


def test_template_in_an_unknown_dialect_is_reported_in_one_line(cli_here):
    check_usage_error(
        cli_here("template", "SELECT 1", "--dialect", "sqlit"), "did you mean 'sqlite'?"
    )


@pytest.mark.fault
def test_template_survives_a_query_that_crashes_the_parser():
    deep = "SELECT " + "(" * 5000 + "1" + ")" * 5000
    ended = cli("template", "-", input=deep)
    assert ended.status == 1
    assert ended.err == "rejected: nested deeper than 200 brackets\n"


def test_init_writes_a_corpora_file_and_says_what_to_do_next(cli_here, tmp_path):
    out = tmp_path / "corpora.toml"
    ended = cli_here("init", SAMPLES / "predictions", "-o", out)
    assert (ended.status, ended.err.count("answers, and no target was found")) == (2, 3)
    ended = cli_here("init", SAMPLES, "-o", out)
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert "synth-train" in ended.out and "left out: README.md: is a document" in ended.out
    assert lines[-1] == f"Check it, then: nl2sql-align run {out}"
    again = cli_here("init", SAMPLES, "-o", out)
    assert (again.status, again.out) == (2, "")
    assert "exists and is not an empty file, so it is not replaced" in again.err


# Python twins


def test_every_command_has_a_twin_in_python():
    twins = {
        "run": "nl2sql_align.flows.align:align",
        "nightly": "nl2sql_align.flows.nightly:nightly",
        "compare": "nl2sql_align.tasks.views.comparison:compare",
        "demo": "nl2sql_align.tasks.views.demo:run_demo",
        "init": "nl2sql_align.tasks.run.corpora_draft:draft_corpora",
        "matrix": "nl2sql_align.tasks.results.read:matrix",
        "ratio": "nl2sql_align.tasks.results.read:ratio",
        "slices": "nl2sql_align.tasks.results.read:slices",
        "rejects": "nl2sql_align.tasks.results.read:rejects",
        "relocate": "nl2sql_align.tasks.results.record:relocate",
        "explain": "nl2sql_align.tasks.views.explain:explain",
        "headroom": "nl2sql_align.tasks.decisions.headroom:headroom",
        "sample-size": "nl2sql_align.tasks.decisions.sample_size:sample_size",
        "calibrate": "nl2sql_align.tasks.decisions.calibration:calibrate",
        "select": "nl2sql_align.tasks.decisions.selection:select",
        "mix": "nl2sql_align.tasks.decisions.mixture:mix",
        "check": "nl2sql_align.tasks.decisions.health:check",
        "gaps": "nl2sql_align.tasks.decisions.gaps:gaps",
        "template": "nl2sql_align.tasks.templates.one_query:template_of",
        "inspect": "nl2sql_align.tasks.run.inspection:inspect_dump",
        "fingerprint": "nl2sql_align.tasks.run.fingerprint:fingerprint",
        "show": "nl2sql_align.tasks.templates.fingerprints:read_fingerprint",
        "catalog": "nl2sql_align.tasks.run.catalog:list_catalog",
        "report": "nl2sql_align.tasks.views.report:write_report",
        "plot": "nl2sql_align.tasks.views.pictures:plot",
    }
    commands = {
        command.name or command.callback.__name__: command.callback
        for command in app.registered_commands
    }
    assert commands.keys() == twins.keys() == set(COMMANDS)
    display_options = {"form", "metric", "all_pairs", "is_all", "ranked", "examples", "log_format"}
    for name, place in twins.items():
        module, function = place.split(":")
        if module.startswith("nl2sql_align.flows."):  # read the source, to not import Prefect
            source = (SAMPLES.parent / f"{module.replace('.', '/')}.py").read_text()
            signature = re.search(rf"def {function}\((.*?)\) ->", source, re.DOTALL)[1]
            parameters = {word.rstrip(":") for word in signature.split()}
        else:
            parameters = set(inspect.signature(getattr(import_module(module), function)).parameters)
        if name == "compare":
            parameters |= {"paths"}  # train and target
        if name == "check":
            parameters |= {"fail_on"}  # Health.require_none
        if name == "select":
            parameters |= {
                field.name for field in (*fields(SelectionOptions), *fields(TrainingOptions))
            }
        if name == "mix":
            parameters |= {field.name for field in fields(TrainingOptions)}
        assert set(inspect.signature(commands[name]).parameters) - display_options <= parameters, (
            name
        )


@pytest.mark.flow
def test_twins_raise_the_errors_that_commands_report(samples, tmp_path):
    for call, kind, status in (
        (lambda: matrix(tmp_path), WarehouseError, 1),
        (lambda: rejects(samples, "none"), ConfigurationError, 2),
        (lambda: matrix(samples, "kl_alignment > 2"), RequirementError, 4),
        (lambda: ratio(samples, "nothing"), ConfigurationError, 2),
        (lambda: template_of("SELECT 1", "none"), ConfigurationError, 2),
    ):
        with pytest.raises(AlignError) as caught:
            call()
        assert type(caught.value) is kind
        assert caught.value.exit_code == status


# Help, tables and colors


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)])
def test_help_explains_each_command(command, cli_here):
    ended = cli_here(*command, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"Usage: nl2sql-align {' '.join(command)}".rstrip() in ended.out
    assert all(len(line) <= 80 for line in ended.out.splitlines())
    # Lines of a paragraph are as long as the width allows, wherever the source breaks them.
    lines = [line.rstrip() for line in ended.out.splitlines()]
    for line, following in pairwise(lines):
        if re.match(r" \w", line) and re.match(r" \w", following):
            assert len(f"{line} {following.split()[0]}") > 78
    assert "\x1b" not in ended.out
    for name in COMMANDS if not command else ():
        assert name in ended.out
    if command in (("matrix",), ("ratio",)):
        assert "--require" in ended.out
        assert "Exit with 4" in ended.out


def test_help_has_a_short_option_and_no_names_of_types(cli_here):
    for command in ((), *((command,) for command in COMMANDS)):
        text = cli_here(*command, "-h").out
        assert text == cli_here(*command, "--help").out
        assert not re.search(r"<\w+>|list\[|<[a-z|]+>|INTEGER|FLOAT", text), command
    assert "table|json|csv" in cli_here("matrix", "-h").out


def test_a_shell_completes_commands_and_options(cli_here, monkeypatch):
    monkeypatch.setenv("_NL2SQL_ALIGN_COMPLETE", "complete_bash")
    for words, completed in (("nl2sql-align sam", "sample-size"), ("x matrix --met", "--metric")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
        assert cli_here().out == f"{completed}\n"
    monkeypatch.delenv("_NL2SQL_ALIGN_COMPLETE")
    # Otherwise, the shell is that of the process that runs the tests.
    variables = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = cli("--show-completion", "bash", variables=variables).out
    assert "complete -o default -F" in shown


def test_options_have_help():
    for command in typer.main.get_command(app).commands.values():
        assert command.help
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{command.name} {parameter.name}"


@pytest.mark.flow
@pytest.mark.parametrize(
    "arguments",
    [
        ["matrix", "--all"],
        ["matrix", "--all", "--metric", "additive_kl_alignment"],
        ["ratio"],
        ["rejects", "good"],
        ["rejects", "hostile", "--examples", "9"],
    ],
    ids=" ".join,
)
def test_tables_fit_into_80_columns(samples, runs, arguments, cli_here):
    command, *options = arguments
    warehouse = runs["plain"].warehouse if command == "rejects" else samples
    ended = cli_here(command, warehouse, *options)
    assert ended.status == 0
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.flow
def test_a_table_fits_its_terminal(samples):
    ended = cli_on_terminal("matrix", samples, "--all", columns=70)
    assert ended.status == 0
    lines = SEQUENCES.sub("", ended.out).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 70


@pytest.mark.flow
def test_the_content_of_a_dump_is_shown_as_text(runs, cli_here):
    warehouse = runs["plain"].warehouse
    # In processes of their own, since Rich reads the width only once.
    ended = cli("rejects", warehouse, "hostile", "--examples", "9", variables={"COLUMNS": "300"})
    assert ended.status == 0
    assert not [c for c in ended.out if not c.isprintable() and c != "\n"]
    assert MARKUP in ended.out
    # Programs get the text as it is in the dump.
    rows = json.loads(cli_here("rejects", warehouse, "hostile", "--format", "json").out)
    assert [row["raw_sql"] for row in rows] == HARMFUL
    shown = cli("ratio", warehouse, variables={"COLUMNS": "300"}).out
    assert f"(model {MARKUP}" in shown
    assert "\x1b" not in shown


@pytest.mark.flow
def test_colors_are_for_terminals_that_want_them(samples, cli_here):
    for arguments in (["matrix", samples], ["--help"]):
        plain = cli_here(*arguments)
        assert "\x1b" not in plain.out + plain.err
        without = cli_on_terminal(*arguments, variables={"NO_COLOR": "1"})
        assert not COLOURS.search(without.out)
        dumb = cli_on_terminal(*arguments, variables={"TERM": "dumb"})
        assert not COLOURS.search(dumb.out)
    assert "\x1b[1m" in cli_on_terminal("matrix", samples).out


@pytest.mark.flow
@pytest.mark.parametrize("arguments", [["matrix", "--all"], ["matrix", "--format", "json"]])
def test_a_reader_that_exits_early_is_not_an_error(samples, arguments):
    command, *options = arguments
    # The pipe buffers some output, so the reader exits before reading any.
    line = f"{COMMAND} {command} {samples} {' '.join(options)} | true; echo ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=300, env=environment()
    )
    assert ended.stderr == ""
    assert ended.stdout == "0\n"


def test_a_closed_output_is_not_an_error():
    with subprocess.Popen(
        [COMMAND, "template", "SELECT 1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=300) == 0


@pytest.mark.fault
def test_an_unexpected_error_is_one_line_with_a_traceback_on_demand(tmp_path):
    script = """
import sys
from nl2sql_align.tasks.results import read as results
def fail(*_, **__):
    raise RuntimeError("first \\x1b[31mline\\nsecond")
results.matrix = fail
from nl2sql_align.flows.cli import main
main()
"""
    line = [sys.executable, "-c", script, "matrix", str(tmp_path)]
    for variables in ({}, {"NL2SQL_ALIGN_DEBUG": "1"}):
        ended = subprocess.run(
            line, capture_output=True, text=True, timeout=300, env=environment(**variables)
        )
        assert ended.returncode == 1
        *traceback, last = ended.stderr.splitlines()
        assert last.startswith("nl2sql-align: RuntimeError: first ")
        assert last.endswith("set NL2SQL_ALIGN_DEBUG=1 to see where")
        assert bool(traceback) == bool(variables)
        assert "\x1b" not in last
