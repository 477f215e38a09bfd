"""Runs that are ended at any moment: the next one gives what an undisturbed one gives."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.warehouse import Warehouse
from tests.faults.steps import run
from tests.flows.conftest import SAMPLES, small_corpora
from tests.flows.warehouses import leftovers, tables

pytestmark = pytest.mark.fault

ROOT = Path(__file__).resolve().parents[2]
N_KILLS = 6


def start(command, warehouse, *files, **keywords):
    """A process that does the steps of runs; in a group of its own, with its workers."""
    arguments = [sys.executable, "-m", "tests.faults.steps", command, warehouse, *files]
    return subprocess.Popen(
        list(map(str, arguments)), cwd=ROOT, start_new_session=True, text=True, **keywords
    )


def workers_of(group):
    """The parsers that a process has started, itself gone or not."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(its_group) == group and b"tasks.parse_worker" in arguments and state != "Z":
            found.append(int(folder.name))
    return found


def check_clean(warehouse):
    assert leftovers(warehouse) == []
    with Warehouse(warehouse).locked():
        pass


@pytest.fixture(scope="module")
def sample_files(tmp_path_factory):
    """The samples; and the same without one, with another dump for one and with one more."""
    folder = tmp_path_factory.mktemp("files")
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
    assert start("run", undisturbed, sample_files[1]).wait(timeout=120) == 0
    seconds = time.monotonic() - before
    run(undisturbed, sample_files[0])

    disturbed = tmp_path / "disturbed"
    moments = random.Random(8)
    n_killed = 0
    for number in range(N_KILLS):
        # One after the other, so that there is work left for each.
        process = start("run", disturbed, sample_files[(number + 1) % 2])
        time.sleep(moments.uniform(0.3, 1) * seconds)
        process.send_signal(signal.SIGKILL)
        n_killed += process.wait() == -signal.SIGKILL
    assert n_killed >= N_KILLS / 2, "the runs were over too soon"
    run(disturbed, sample_files[0])
    assert tables(disturbed) == tables(undisturbed)
    check_clean(disturbed)


def test_a_run_after_runs_killed_before_each_of_their_files_was_in_place(tmp_path):
    corpora = small_corpora(tmp_path / "dumps")
    del corpora.entries["far"]
    for warehouse in ("undisturbed", "cut"):
        run(tmp_path / warehouse, corpora.write())
    corpora.add("near", ["SELECT max(a) FROM b GROUP BY c"])
    corpora.add("more", ["SELECT a FROM b UNION SELECT c FROM d"], "target")
    run(tmp_path / "undisturbed", corpora.write())
    process = start("cut", tmp_path / "cut", corpora.path, stdout=subprocess.PIPE)
    answer, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    # Queries, templates and counts of two corpora, the two files of the matrix, the database.
    assert int(answer) >= 6
    assert tables(tmp_path / "cut") == tables(tmp_path / "undisturbed")
    check_clean(tmp_path / "cut")


def test_a_killed_run_leaves_results_as_they_were_and_no_process(tmp_path):
    corpora = small_corpora(tmp_path / "dumps")
    warehouse = tmp_path / "warehouse"
    run(warehouse, corpora.write())
    before = tables(warehouse, aside=())
    corpora.add("near", [f"SELECT a{i} FROM b WHERE c IN (SELECT {i})" for i in range(3000)])
    process = start("run", warehouse, corpora.write())
    wait_for(lambda: workers_of(process.pid))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert tables(warehouse, aside=()) == before
    wait_for(lambda: not workers_of(process.pid))


def test_a_worker_that_hangs_ends_when_its_run_is_gone(tmp_path):
    """Nobody is left to end it: the system does."""
    script = """
import sys
from pathlib import Path
from tests.unit.test_workers import SLOW, make_job
from tasks.workers import parse_part
parse_part(make_job(Path(sys.argv[1]), [SLOW]), seconds_per_query=0.7)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, start_new_session=True
    ) as process:
        [worker] = wait_for(lambda: workers_of(process.pid))
        time.sleep(0.4)  # its start
        process.kill()
    wait_for(lambda: worker not in workers_of(process.pid))


def wait_for(condition, seconds=30):
    """What the condition gives, as soon as it gives something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.005)
    raise AssertionError("it did not come about")


def test_stage_files_that_are_lost_are_made_again(tmp_path):
    """As after a restored backup, or a hand that cleared a folder."""
    corpora = small_corpora(tmp_path / "dumps")
    warehouse = tmp_path / "warehouse"
    run(warehouse, corpora.write())
    before = tables(warehouse)
    for folder in ("stages/queries", "stages/templates", "stages/pairs", "stages", "ngrams"):
        shutil.rmtree(warehouse / folder)
        run(warehouse, corpora.path)
        assert tables(warehouse) == before, folder
    os.truncate(Warehouse(warehouse).database, 1000)
    run(warehouse, corpora.path)
    assert tables(warehouse) == before
    check_clean(warehouse)
