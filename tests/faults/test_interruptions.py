"""Killed runs and damaged warehouses: the next run gives the results of an undisturbed one."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import duckdb
import pytest

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.errors import AlignError, WarehouseError
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.faults.disks import mounted
from tests.faults.steps import run
from tests.flows.conftest import SAMPLES, small_corpora
from tests.flows.warehouses import leftovers, stage_files, tables

pytestmark = [pytest.mark.fault, pytest.mark.usefixtures("one_parser_process")]

ROOT = Path(__file__).resolve().parents[2]
N_KILLS = 2


def start(command, warehouse, *files, **keywords):
    """Start a process that runs the steps, in a process group with its workers."""
    arguments = [sys.executable, "-m", "tests.faults.steps", command, warehouse, *files]
    return subprocess.Popen(
        list(map(str, arguments)), cwd=ROOT, start_new_session=True, text=True, **keywords
    )


def parsing_processes(group):
    """Return the parser processes of a group and the process that forks them, with parents."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            stat = (folder / "stat").read_text().rpartition(")")[2]
            state, parent, its_group = stat.split()[:3]
        except (OSError, ValueError):
            continue
        if (
            int(its_group) == group
            and b"nl2sql_align.tasks.templates.parser_process" in arguments
            and state != "Z"
        ):
            found[int(folder.name)] = int(parent)
    return found


def workers_of(group):
    """Return the forked parsers of a group, while the process that forks them lives."""
    found = parsing_processes(group)
    return [worker for worker, parent in found.items() if parent in found]


def check_clean(warehouse):
    assert leftovers(warehouse) == []
    with Warehouse(warehouse).locked():
        pass


@pytest.fixture(scope="module")
def _settled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("settled")
    run(folder / "warehouse", small_corpora(folder / "dumps").write())
    shutil.copytree(folder / "warehouse", folder / "kept")
    return folder


@pytest.fixture
def settled(_settled):
    """The small corpora and their warehouse after one run, restored for each test."""
    for name in ("warehouse", "dumps"):
        shutil.rmtree(_settled / name)
    shutil.copytree(_settled / "kept", _settled / "warehouse")
    corpora = small_corpora(_settled / "dumps")
    corpora.write()
    return corpora, _settled / "warehouse"


@pytest.fixture(scope="module")
def sample_files(tmp_path_factory):
    return changed_samples(tmp_path_factory.mktemp("files"))


def changed_samples(folder):
    """Return corpora files of the samples, and of the samples with changes.

    One corpus is missing, one has another dump, and one is new.
    """
    text = (SAMPLES / "corpora.toml").read_text().replace('path = "', f'path = "{SAMPLES}/')
    first = folder / "first.toml"
    first.write_text(text)
    other = folder / "other.toml"
    kept = [entry for entry in text.split("[[corpus]]")[1:] if "ledger-train" not in entry]
    lines = [f"SELECT a{i} FROM b WHERE c > {i} OR d = {i % 7}" for i in range(6000)]
    (folder / "more.sql").write_text("\n".join(lines))
    kept.append('\nname="more"\nrole="train"\nformat="lines"\ndialect="sqlite"\npath="more.sql"\n')
    dump = (SAMPLES / "harbour-train.json").read_text().replace("ORDER BY", "GROUP BY", 40)
    (folder / "harbour.json").write_text(dump)
    changed = "".join("[[corpus]]" + entry for entry in kept)
    other.write_text(changed.replace(f"{SAMPLES}/harbour-train.json", "harbour.json"))
    return first, other


def test_a_run_after_runs_killed_at_random_moments(sample_files, tmp_path):
    undisturbed = tmp_path / "undisturbed"
    before = time.monotonic()
    assert start("run", undisturbed, sample_files[1]).wait(timeout=600) == 0
    seconds = time.monotonic() - before
    run(undisturbed, sample_files[0])

    disturbed = tmp_path / "disturbed"
    moments = random.Random(8)
    n_killed = number = 0
    while n_killed < N_KILLS:
        assert number < 10 * N_KILLS, "the runs end too soon"
        # The corpora alternate, so that each run has work left.
        process = start("run", disturbed, sample_files[(number + 1) % 2])
        time.sleep(moments.uniform(0.3, 1) * seconds)
        process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            n_killed += 1
        else:  # the machine was busier when the undisturbed run was timed
            seconds *= 0.7
        number += 1
    run(disturbed, sample_files[0])
    assert tables(disturbed) == tables(undisturbed)
    check_clean(disturbed)


def test_a_run_after_runs_killed_before_each_of_their_files(tmp_path):
    corpora = small_corpora(tmp_path / "dumps")
    del corpora.entries["far"]
    for warehouse in ("undisturbed", "cut"):
        run(tmp_path / warehouse, corpora.write())
    corpora.add("near", ["SELECT max(a) FROM b GROUP BY c"])
    run(tmp_path / "undisturbed", corpora.write())
    process = start("cut", tmp_path / "cut", corpora.path, stdout=subprocess.PIPE)
    answer, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    # Queries, templates and counts of the new dump, the files of the matrix, the database.
    assert int(answer) >= 5
    assert tables(tmp_path / "cut") == tables(tmp_path / "undisturbed")
    check_clean(tmp_path / "cut")


def test_a_killed_run_leaves_the_old_results_and_no_process(settled):
    corpora, warehouse = settled
    before = tables(warehouse, aside=())
    corpora.add("near", [f"SELECT a{i} FROM b WHERE c IN (SELECT {i})" for i in range(3000)])
    process = start("run", warehouse, corpora.write())
    wait_for(lambda: workers_of(process.pid))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert tables(warehouse, aside=()) == before
    wait_for(lambda: not parsing_processes(process.pid))


def test_a_hanging_worker_ends_after_its_run_is_killed(tmp_path):
    """The system ends the worker: the processes that would are killed."""
    script = """
import sys
from pathlib import Path
from tests.unit.templates.test_parser_pool import SLOW, make_job, patient
from nl2sql_align.tasks.templates.parser_pool import parse_part
parse_part(make_job(Path(sys.argv[1]), [SLOW], limits=patient(0.7)))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, start_new_session=True
    ) as process:
        [worker] = wait_for(lambda: workers_of(process.pid))
        time.sleep(0.4)  # its start
        os.kill(parsing_processes(process.pid)[worker], signal.SIGKILL)
        process.kill()
    assert worker in parsing_processes(process.pid)
    wait_for(lambda: not parsing_processes(process.pid))


DUCKDB = """
from nl2sql_align.tasks.base.connections import connected
def count():
    with connected() as con:
        con.execute("select count(*) from range(100000000000) where range % 7 = 3")
"""
STUCK = {
    # The step that does not end, and its runner.
    "digesting a big file": """
from nl2sql_align.tasks.warehouse.folder import digest_file
in_a_thread(digest_file, Path("big"))
""",
    "reading in a thread": f"{DUCKDB}in_a_thread(count)",
    "publishing": f"{DUCKDB}begin()\ncount()",
    "parsing": """
from tests.unit.templates.test_parser_pool import SLOW, make_job, patient
from nl2sql_align.tasks.templates.parser_pool import parse_part
in_a_thread(parse_part, make_job(Path("."), [SLOW], limits=patient(60.0)))
""",
    "an error that hides the exit": """
begin()
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
""",
}


@pytest.mark.parametrize("stage", STUCK)
def test_a_run_ends_soon_after_a_signal(stage, tmp_path):
    script = f"""
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from nl2sql_align.flows.running.command import exit_on_signals
exit_on_signals(seconds=1.0)
def begin():
    print("begun", flush=True)
def in_a_thread(step, *arguments):
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(step, *arguments)
        begin()
        step.result()
{STUCK[stage]}
"""
    with (tmp_path / "big").open("wb") as file:
        file.truncate(400_000_000_000)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"begun\n"
        time.sleep(0.5)
        process.terminate()
        signaled = time.monotonic()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
        assert time.monotonic() - signaled < 10
    wait_for(lambda: not parsing_processes(process.pid))


def wait_for(condition, seconds=30):
    """Return the result of the condition once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError("timed out")


def test_lost_stage_files_are_rebuilt(settled):
    """Like after a partial restore, or after somebody cleared a folder."""
    corpora, warehouse = settled
    before = tables(warehouse)
    for lost in (
        ["stages/queries", "stages/pairs"],
        ["stages/templates", "queries"],
        ["ngrams"],
        ["stages"],
    ):
        for folder in lost:
            shutil.rmtree(warehouse / folder)
        if lost == ["ngrams"]:
            os.truncate(Warehouse(warehouse).database, 1000)
        run(warehouse, corpora.path)
        assert tables(warehouse) == before, lost
    check_clean(warehouse)


def damage(path, how):
    """Damage a file, but keep its times."""
    times = path.stat()
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = bytearray()
    else:  # within a page of data: the file still opens
        content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_damaged_stage_files_are_rebuilt(settled):
    corpora, warehouse = settled
    before = tables(warehouse)
    stages = sorted(warehouse.rglob("*.parquet"))
    assert {path.parent.name for path in stages} >= {"queries", "templates", "ngrams", "pairs"}
    for path, how in zip(stages, cycle(["truncated", "empty", "changed"]), strict=False):
        damage(path, how)
    messages = []
    with progress.listening(messages.append):
        run(warehouse, corpora.path)
    assert {one.text for one in messages if one.stage == "check"} == {
        f"{path} is damaged; it is rebuilt" for path in stages
    }
    assert tables(warehouse) == before
    check_clean(warehouse)


def test_a_readable_file_without_a_digest_is_kept(settled):
    """Like after a run that was killed before it recorded the digests."""
    corpora, warehouse = settled
    before = stage_files(warehouse)
    (warehouse / "stages" / "seals.json").unlink()
    [damaged, *_] = (warehouse / "stages" / "templates").glob("*.parquet")
    damage(damaged, "truncated")
    assert Warehouse(warehouse).remove_damaged() == [damaged]
    run(warehouse, corpora.path)
    after = stage_files(warehouse)
    name = damaged.relative_to(warehouse).as_posix()
    unchanged = [file for file in before if file.endswith(".parquet") and file != name]
    assert [file for file in unchanged if before[file] != after[file]] == []


def test_a_clock_that_was_set_back_changes_nothing(settled, tmp_path):
    """The files and the last run are dated tomorrow."""
    corpora, warehouse = settled
    before = tables(warehouse)
    tomorrow = time.time() + 86400
    for path in [*warehouse.rglob("*"), *corpora.folder.iterdir()]:
        os.utime(path, (tomorrow, tomorrow))
    with duckdb.connect(str(Warehouse(warehouse).database)) as con:
        con.execute("update runs set started_at = started_at + interval 1 day")
        con.execute("update alignment_history set started_at = started_at + interval 1 day")
    Warehouse(warehouse).record_next_database(Warehouse(warehouse).database)
    corpora.add("near", ["SELECT max(a) FROM b GROUP BY c"])
    run(warehouse, corpora.write())
    undisturbed = tmp_path / "undisturbed"
    run(undisturbed, corpora.path)
    assert tables(warehouse) == tables(undisturbed) != before
    with duckdb.connect(str(Warehouse(warehouse).database), read_only=True) as con:
        change = con.execute(
            "select n_runs, change < 0 from alignment_change "
            "where source = 'near' and target = 'dev'"
        ).fetchall()
    assert change == [(2, True)]


@pytest.fixture
def disk(tmp_path):
    """A disk of 30 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "30m"):
        yield folder


def test_a_full_disk_is_an_error_and_leaves_the_results(tmp_path, disk):
    corpora = small_corpora(tmp_path / "dumps")
    warehouse = disk / "warehouse"
    run(warehouse, corpora.write())
    before = tables(warehouse, aside=())
    (disk / "filling").write_bytes(bytes(shutil.disk_usage(disk).free - 100_000))
    corpora.add("near", [f"SELECT a{i} FROM b WHERE c = {i}" for i in range(3000)])
    with pytest.raises(AlignError, match=r"is full \(No space left on device\); free space"):
        run(warehouse, corpora.write())
    assert tables(warehouse, aside=()) == before
    assert leftovers(warehouse) == []
    (disk / "filling").unlink()
    corpora.add("near", ["SELECT max(a) FROM b GROUP BY c"])
    run(warehouse, corpora.write())
    assert tables(warehouse) != before
    check_clean(warehouse)


def test_a_read_only_warehouse_is_an_error(tmp_path, disk):
    corpora = small_corpora(tmp_path / "dumps")
    warehouse = disk / "warehouse"
    run(warehouse, corpora.write())
    before = tables(warehouse, aside=())
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(WarehouseError, match=r"cannot be written \(Read-only file system\)"):
        run(warehouse, corpora.path)
    assert tables(warehouse, aside=()) == before
