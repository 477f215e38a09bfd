"""Fixtures that several kinds of tests use."""

import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from hypothesis.configuration import set_hypothesis_home_dir

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.environment import THREADS_VARIABLE
from nl2sql_align.tasks.base.garbage import collect_rarely
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.measures.matrix import Content, MatrixReport, compute_matrix
from nl2sql_align.tasks.ngrams.corpus_counts import begin_counting, count_divided
from nl2sql_align.tasks.ngrams.counted_corpus import CountedCorpus
from nl2sql_align.tasks.templates.parser_pool import _ParserPool, stop_workers
from nl2sql_align.tasks.templates.parts import join_templates, split_queries
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key

S3_SECRET = "very-secret-0123456789"
_PARSED = pa.schema(
    [
        ("first_ordinal", pa.int64()),
        ("template", pa.string()),
        ("reject_reason", pa.string()),
        ("comparable_key", pa.binary(16)),
    ]
)

# More threads take longer on small data. Tests on threads set their number.
os.environ[THREADS_VARIABLE] = "1"

# As in the programs.
collect_rarely()

# The same examples in every run, with nothing stored between runs.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, max_examples=30
)
hypothesis.settings.load_profile("repeatable")
_HYPOTHESIS_HOME = tempfile.mkdtemp(prefix="hypothesis-")
set_hypothesis_home_dir(_HYPOTHESIS_HOME)


# The slowest tests, in the order in which they start, so that all processes end at the same time.
# While the first makes Prefect's empty database, the next two do not wait for it.
_FIRST = (
    "tests/flows",
    "tests/faults/test_interruptions.py",
    "tests/unit/results/test_publish.py",
    "tests/unit/test_cli.py",
    "tests/flows/test_serve.py",
    "tests/packaging/test_distributions.py",
    "tests/browser/test_report_page.py",
    "tests/properties/test_matrix_properties.py",
    "tests/unit/decisions/test_selection.py",
    "tests/unit/run/test_slices.py",
    "tests/unit/run/test_partial_copies.py",
    "tests/faults/test_readers.py",
)


def _scope_of(nodeid: str) -> str:
    """Return the name of the tests that share fixtures: a file, or most files of the flows."""
    file = nodeid.partition("::")[0]
    is_shared = file.startswith("tests/flows/") and file not in _FIRST
    return "tests/flows" if is_shared else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {scope: rank for rank, scope in enumerate(_FIRST)}
    items.sort(key=lambda item: ranks.get(_scope_of(item.nodeid), len(ranks)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one process run all tests of a scope, for ``--dist loadfile``."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _scope_of(nodeid)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_unconfigure() -> None:
    shutil.rmtree(_HYPOTHESIS_HOME, ignore_errors=True)
    # Hypothesis registers a callback with the garbage collector. At exit it keeps DuckDB's objects
    # alive, which then print errors.
    gc.callbacks.clear()


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder with the real dumps; tests that need it are skipped if it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "corpora" / "corpora.toml").is_file():
        pytest.skip(f"needs the real dumps in {folder}")
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_duckdb_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the steps that a module calls share one instance of DuckDB, as those of a run do.

    Starting an instance takes longer than most steps.
    """
    with bounded(None, None, tmp_path_factory.mktemp("duckdb")):
        yield


@pytest.fixture(scope="session")
def _ended_parser_process() -> Iterator[None]:
    yield
    stop_workers()


@pytest.fixture(scope="module")
def one_parser_process(_ended_parser_process: None) -> Iterator[None]:
    """Let the runs of a module, and of others that do, share the process that forks their parsers.

    Starting it takes as long as the rest of a small run.
    """

    def stop_workers_only(pool: _ParserPool) -> None:
        with pool._change:
            while pool._idle:
                pool._idle.pop().stop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_ParserPool, "stop", stop_workers_only)
        yield


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which programs cache files; all processes of the tests share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared / "cache"))
        yield shared / "cache" / "nl2sql-align"


MAKER = """
import sys
from pathlib import Path
from nl2sql_align.flows.running.server_process import _make_database
_make_database(Path(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def empty_prefect_database(cache: Path) -> Path:
    """Let Prefect make the empty database that runs copy: it takes seconds.

    Returns:
        The folder of the process that made it: its own database, and Prefect's home.
    """
    folder = cache.parents[1] / "maker"
    with FileLock(cache.parents[1] / "maker.lock"):
        if not folder.exists():
            folder.mkdir()
            variables = {"NL2SQL_ALIGN_CACHE": str(cache), "PREFECT_HOME": str(folder / "home")}
            subprocess.run(
                [sys.executable, "-c", MAKER, str(folder / "prefect.db")],
                env={**os.environ, **variables},
                timeout=300,
                check=True,
            )
    return folder


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """An empty store on an S3 server on loopback, with credentials in the environment."""
    server_of = pytest.importorskip("moto.server", reason="needs moto").ThreadedMotoServer
    s3fs = pytest.importorskip("s3fs", reason="needs the extra s3")
    server = server_of(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "an-access-key-id")
        patch.setenv("AWS_SECRET_ACCESS_KEY", S3_SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        s3fs.S3FileSystem.clear_instance_cache()
        yield s3fs.S3FileSystem(skip_instance_cache=True)
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


# The text of a query and its template, or a template alone; None for a rejected query.
Query = str | None | tuple[str, str | None]


def count_corpus(
    corpus: str,
    templates: Path,
    destination: Path,
    scratch: Path,
    metadata: dict[str, str],
    **limits: Any,
) -> Path:
    """Count a corpus in as many steps as it needs, and return the path of its counts."""
    division = begin_counting(corpus, templates, destination, scratch, metadata, **limits)
    return count_divided(division) if division else destination


class CorpusMaker:
    """Writes corpora as if ingested and parsed, and measures their pairs.

    What is equal is made once, and copied.
    """

    def __init__(self, kept: Path) -> None:
        self._kept = kept

    def __call__(
        self,
        folder: Path,
        name: str,
        queries: Sequence[Query],
        *,
        role: str = "train",
        db_ids: Sequence[str | None] | None = None,
        frequencies: Sequence[int] | None = None,
        parts: Sequence[str | None] | None = None,
        questions: Sequence[str | None] | None = None,
        **keys: Any,
    ) -> CountedCorpus:
        """Write a corpus; other keywords are keys of the corpora file."""
        if role == "predictions":
            keys = {"model": "model", **keys}
        keys = {"path": f"/dumps/{name}.sql", "dialect": "sqlite", **keys}
        entry = CorpusEntry(name=name, role=role, format="lines", **keys)
        warehouse = Warehouse(folder)
        pairs = [one if isinstance(one, tuple) else (f"-- {one}", one) for one in queries]
        columns = {
            "db_id": pa.array(db_ids or [None] * len(pairs), pa.string()),
            "question": pa.array(questions or [None] * len(pairs), pa.string()),
            "n_occurrences": pa.array(frequencies or [1] * len(pairs), pa.int64()),
            "part": pa.array(parts or [None] * len(pairs), pa.string()),
        }
        others = [*(db_ids or []), *(parts or []), *(questions or [])]
        key = stage_key(pairs=pairs, db_ids=others, frequencies=frequencies)
        files = (
            *(warehouse.queries_file(key), warehouse.templates_file(key)),
            warehouse.ngrams_file(name, key),
        )
        given = {column: values.to_pylist() for column, values in columns.items()}
        content = stage_key(name=name, pairs=pairs, **given)
        copies = [self._kept / f"{content}-{number}" for number in range(len(files))]
        if not copies[-1].exists():
            _write_corpus(warehouse, name, pairs, columns, *files)
            for file, copy in zip(files, copies, strict=True):
                shutil.copyfile(file, copy)
        for copy, file in zip(copies, files, strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copy, file)
        return CountedCorpus(entry, "0" * 64, key, *files)

    def measure_pairs(self, corpora: Sequence[CountedCorpus], folder: Path) -> MatrixReport:
        """Measure all pairs of corpora, as a run does."""
        contents = [
            Content(c.content_key, c.entry.name, c.ngrams, c.templates, c.entry.role == "target")
            for c in corpora
        ]
        key = stage_key(contents=[(one.key, one.is_target) for one in contents])
        if not (copy := self._kept / key).exists():
            compute_matrix(contents, copy)
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        return compute_matrix(contents, folder)


@pytest.fixture(scope="session")
def make_corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusMaker:
    """Write a corpus with given templates by ``make_corpus(folder, "name", queries, role=...)``."""
    return CorpusMaker(tmp_path_factory.mktemp("made"))


def _write_corpus(
    warehouse: Warehouse,
    name: str,
    pairs: list[tuple[str, str | None]],
    columns: dict[str, pa.Array],
    queries_file: Path,
    templates_file: Path,
    ngrams_file: Path,
) -> None:
    warehouse.scratch.mkdir(parents=True, exist_ok=True)
    texts_file, parsed_file = warehouse.scratch / "texts", warehouse.scratch / "parsed"
    queries_file.parent.mkdir(parents=True, exist_ok=True)
    sqls = [sql for sql, _ in pairs]
    pq.write_table(
        pa.table(
            {
                "ordinal": pa.array(range(len(pairs)), pa.int64()),
                "sql": pa.array(sqls, pa.string()),
                "raw_sql": pa.array(sqls, pa.string()),
                "db_id": columns["db_id"],
                "question": columns["question"],
                "n_occurrences": columns["n_occurrences"],
                "id": pa.array([None] * len(pairs), pa.string()),
                "question_ordinal": pa.array([None] * len(pairs), pa.int64()),
                "part": columns["part"],
                "reject_reason": pa.array([None] * len(pairs), pa.string()),
            }
        ),
        queries_file,
    )
    split_queries(queries_file, texts_file)
    parsed = [
        {
            "first_ordinal": sqls.index(sql),
            "template": template,
            "reject_reason": "does not parse" if template is None else None,
            "comparable_key": None if template is None else hashlib.md5(sql.encode()).digest(),
        }
        for sql, template in dict(pairs).items()
    ]
    pq.write_table(pa.Table.from_pylist(parsed, schema=_PARSED), parsed_file)
    join_templates([texts_file], [parsed_file], templates_file)
    count_corpus(name, templates_file, ngrams_file, warehouse.scratch, {"corpus": name})
    shutil.rmtree(warehouse.scratch)
