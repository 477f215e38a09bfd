"""Fixtures of the flows, with one Prefect test server for all: it takes ten seconds to start.

It ends with the last of them, because it takes time while it waits.
"""

import os
import shutil
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

import nl2sql_align.flows  # noqa: F401 - sets Prefect up, and so comes before it
from tests.faults import steps as plain_steps

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture(scope="package")
def prefect_home(tmp_path_factory, empty_prefect_database):
    """Give Prefect a home of its own."""
    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
        patch.setenv("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
        patch.setenv("PREFECT_LOGGING_TO_API_ENABLED", "false")
        patch.delenv("PREFECT_API_URL", raising=False)
        yield


@pytest.fixture(scope="package")
def align(prefect_home):
    """The flow of the main job, with a Prefect server."""
    from nl2sql_align.flows.running.temporary_server import TemporaryServer

    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    server = TemporaryServer()
    from nl2sql_align.flows.align import align

    server.wait()
    # Not as a run uses it: the flows take it for a server that is configured, and will last.
    with server.in_use():
        yield align
    server.stop()


@pytest.fixture(scope="package")
def job():
    """The main job, called like the flow, but without Prefect, which takes longer than the job."""

    def run(corpora, warehouse, **options):
        return plain_steps.run(Path(warehouse), corpora, **options)

    return run


@pytest.fixture
def limit_counting(prefect_home, monkeypatch):
    """Return a function that sets the limits of the counting step, such as ``part_bytes=30``."""
    from nl2sql_align.flows.align import TASKS
    from nl2sql_align.flows.running.policy import step
    from nl2sql_align.tasks.ngrams.corpus_counts import CountLimits
    from nl2sql_align.tasks.run import steps

    def limit(**limits):
        whole = TASKS[steps.count_corpus]
        limited = partial(steps.count_corpus, count_limits=CountLimits(**limits))
        monkeypatch.setattr(steps, "count_corpus", limited)
        monkeypatch.setitem(TASKS, limited, step(limited, whole.name, whole.task_run_name))

    return limit


@contextmanager
def dividing_pairs():
    """Measure and resample a few pairs in several steps, too; yield a list of their numbers."""
    from nl2sql_align.tasks.measures.blocks import BlockLimits
    from nl2sql_align.tasks.run import steps

    numbers = []

    def count(function, **limits):
        def list_and_count(*given):
            found = function(*given, **limits)
            numbers.append(len(found))
            return found

        return list_and_count

    with pytest.MonkeyPatch.context() as patch:
        divide = count(steps.matrix.divide_pairs, rows_per_step=100)
        patch.setattr(steps.matrix, "divide_pairs", divide)
        list_blocks = count(steps.list_blocks, limits=BlockLimits(1e-5))
        patch.setattr(steps, "list_blocks", list_blocks)
        yield numbers


@pytest.fixture(scope="package")
def sample_run(align, tmp_path_factory):
    """The summary of a run on the sample corpora; tests must not change its warehouse."""
    warehouse = tmp_path_factory.mktemp("samples") / "warehouse"
    return align(SAMPLES / "corpora.toml", warehouse, threads=2)


def write_modules(folder):
    """Write modules with the names of ours, as a user may have them, that cannot be imported."""
    for name in ("tasks.py", "nl2sql.py", "flows/__init__.py", "sql/__init__.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text('raise ImportError("a module of the user")\n')


class Corpora:
    """A corpora file that tests change between runs, with dumps of one query per line."""

    def __init__(self, folder):
        self.folder = folder
        self.entries = {}
        self.path = folder / "corpora.toml"

    def add(self, name, queries, role="train", **keys):
        """Add or replace a corpus; ``queries`` are the lines or the bytes of its dump."""
        if role == "predictions":
            keys = {"model": "model", **keys}
        keys = {"format": "lines", "dialect": "sqlite", "path": f"{name}.sql", **keys}
        self.entries[name] = {"name": name, "role": role, **keys}
        if isinstance(queries, bytes):
            self.dump(name).write_bytes(queries)
        elif queries is not None:
            self.dump(name).write_text("".join(f"{query}\n" for query in queries))
        return self

    def dump(self, name):
        return self.folder / self.entries[name]["path"]

    def write(self, order=None):
        """Write the corpora file, by default in the order in which corpora were added."""
        self.path.write_text(
            "\n".join(
                "[[corpus]]\n"
                + "".join(f'{key} = "{value}"\n' for key, value in self.entries[name].items())
                for name in order or self.entries
            )
        )
        return self.path


def small_corpora(folder):
    """Return two training sets, a target, and predictions on it."""
    joined = "SELECT a FROM b JOIN c ON d = e WHERE f = {} ORDER BY g"
    counted = "SELECT count(*) , a FROM b GROUP BY a HAVING count(*) > {}"
    nested = "SELECT a FROM b WHERE c IN (SELECT d FROM e WHERE f > {})"
    folder.mkdir()
    return (
        Corpora(folder)
        .add("near", [joined.format(i) for i in range(5)] + [counted.format(i) for i in range(4)])
        .add("far", [nested.format(i) for i in range(6)] + ["SELECT broken FROM"])
        .add("dev", [joined.format(9), counted.format(9), "SELECT a FROM b"], "target")
        .add("base", ["SELECT a FROM b", nested.format(1), ""], "predictions", target="dev")
    )


@pytest.fixture(scope="package")
def small_folder(tmp_path_factory):
    """The folder of the small corpora and their warehouse; results contain its full path."""
    return tmp_path_factory.mktemp("small")


@pytest.fixture
def corpora(small_folder):
    """The small corpora in their first state."""
    shutil.rmtree(small_folder / "dumps", ignore_errors=True)
    return small_corpora(small_folder / "dumps")


@pytest.fixture(scope="package")
def _first_run(align, small_folder, tmp_path_factory):
    shutil.rmtree(small_folder / "dumps", ignore_errors=True)
    corpora = small_corpora(small_folder / "dumps")
    summary = align(corpora.write(), small_folder / "warehouse")
    kept = tmp_path_factory.mktemp("kept") / "warehouse"
    shutil.copytree(summary.warehouse, kept)
    return summary, kept


@pytest.fixture
def first(_first_run, corpora):
    """The summary of a first run on the small corpora, with its warehouse restored."""
    summary, kept = _first_run
    restore(summary.warehouse, kept)
    return summary


def restore(warehouse, kept):
    """Replace a warehouse by a copy of it, in its place, whose full path results contain."""
    shutil.rmtree(warehouse)
    shutil.copytree(kept, warehouse)
