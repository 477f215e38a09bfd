"""Small dumps of each format, faulty dumps, and the sizes of real ones."""

import bz2
import csv
import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import AlignError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, load_corpora
from nl2sql_align.tasks.ingest.dumps import digest_dump, ingest_corpus

COLUMNS = {
    "ordinal": pa.int64(),
    "sql": pa.string(),
    "raw_sql": pa.string(),
    "db_id": pa.string(),
    "question": pa.string(),
    "n_occurrences": pa.int64(),
    "id": pa.string(),
    "question_ordinal": pa.int64(),
    "part": pa.string(),
    "reject_reason": pa.string(),
}
BOM = b"\xef\xbb\xbf"
SPIDER = [
    {"query": "select 1", "db_id": "a", "question": "One?", "query_toks": ["select", "1"]},
    {"query": "select \"x\"\n, 'é'", "db_id": "b", "question": "Two\nlines?", "sql": {"from": []}},
]
SPIDER_ROWS = [("select 1", "a", "One?"), ("select \"x\"\n, 'é'", "b", "Two\nlines?")]


def as_json(rows: object) -> bytes:
    return json.dumps(rows).encode()


def as_lines(rows: list[dict[str, object]]) -> bytes:
    return b"".join(as_json(row) + b"\n" for row in rows)


def as_parquet(rows: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


def as_csv(rows: list[dict[str, object]], line_end: str = "\n") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def entry(path: Path, format: str, **keys: object) -> CorpusEntry:
    keys = {"name": "c", "role": "train", "dialect": "sqlite", **keys}
    return CorpusEntry.model_validate({**keys, "format": format, "path": path})


def ingest(corpus: CorpusEntry, folder: Path) -> list[tuple[object, ...]]:
    """Ingest a dump, check its ordinals, and return the other columns of its rows."""
    destination = folder / "stage" / "queries.parquet"
    report = ingest_corpus(corpus, destination)
    table = pq.read_table(destination)
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == COLUMNS
    rows = table.to_pylist()
    assert report.n_queries == len(rows)
    assert [row["ordinal"] for row in rows] == sorted(row["ordinal"] for row in rows)
    assert all(row["sql"] == (row["raw_sql"] or "") for row in rows)
    assert list(destination.parent.iterdir()) == [destination]
    return [(row["raw_sql"], row["db_id"], row["question"]) for row in rows]


GRETEL = [
    {"id": 1, "domain": "law", "sql_prompt": "One?", "sql": "select 1,\n'#'", "sql_context": ""}
]
GRETEL_ROWS = [("select 1,\n'#'", None, "One?")]
MAPPED = {"sql": "the sql", "question": "q/~a", "db_id": "d"}
MAPPED_DATA = [
    {"the sql": 'select "x",\r\n1', "q/~a": "One?", "d": "a", "sql": "not this"},
    {"the sql": "# no comment", "q/~a": "", "d": "b", "sql": "nor this"},
]
MAPPED_ROWS = [('select "x",\r\n1', "a", "One?"), ("# no comment", "b", None)]

DUMPS = {
    "lines": (
        "lines",
        "a.sql",
        b"select 1\n\nselect\t2\n",
        [("select 1", None, None), ("", None, None), ("select\t2", None, None)],
    ),
    "lines without a last line break": (
        "lines",
        "a.sql",
        b"a\nb",
        [("a", None, None), ("b", None, None)],
    ),
    "lines of an empty last answer": (
        "lines",
        "a.sql",
        b"a\n\n",
        [("a", None, None), ("", None, None)],
    ),
    "lines with CRLF": (
        "lines",
        "a.sql",
        b"a\r\n\r\nb\r\n",
        [("a", None, None), ("", None, None), ("b", None, None)],
    ),
    "lines of one empty answer": ("lines", "a.sql", b"\n", [("", None, None)]),
    "lines with odd characters": (
        "lines",
        "a.sql",
        'é"\0\x0c\u2028;\\n\n'.encode(),
        [('é"\0\x0c\u2028;\\n', None, None)],
    ),
    "gold_sql": (
        "gold_sql",
        "a.sql",
        b"select 1\tdb\nselect\t2\tdb2 \r\nstray\n\t\n",
        [
            ("select 1", "db", None),
            ("select\t2", "db2", None),
            ("stray", None, None),
            ("", None, None),
        ],
    ),
    "spider": ("spider", "a.json", as_json(SPIDER), SPIDER_ROWS),
    "spider as JSON lines": ("spider", "a.jsonl", as_lines(SPIDER), SPIDER_ROWS),
    "spider as Parquet": ("spider", "a.parquet", as_parquet(SPIDER), SPIDER_ROWS),
    "spider with a BOM": ("spider", "a.json", BOM + as_json(SPIDER), SPIDER_ROWS),
    "spider, gzip": ("spider", "a.json.gz", gzip.compress(as_json(SPIDER)), SPIDER_ROWS),
    "spider, bzip2": ("spider", "a.json.bz2", bz2.compress(as_json(SPIDER)), SPIDER_ROWS),
    "spider, zstd": (
        "spider",
        "a.json.zst",
        pa.Codec("zstd").compress(as_json(SPIDER)).to_pybytes(),
        SPIDER_ROWS,
    ),
    "spider of few columns": (
        "spider",
        "a.json",
        b'[{"query": "a"}, {"query": null}]',
        [("a", None, None), (None, None, None)],
    ),
    "spider as Parquet of few columns": (
        "spider",
        "a.parquet",
        as_parquet([{"query": "a"}]),
        [("a", None, None)],
    ),
    "bird": (
        "bird",
        "a.json",
        as_json([{"SQL": "a", "db_id": "d", "question": "q"}]),
        [("a", "d", "q")],
    ),
    "bird_predictions": (
        "bird_predictions",
        "a.json",
        b'{"0": "a\\t----- bird -----\\td", "2": 0, "1": "b", "10": null}',
        [("a", "d", None), ("b", None, None), ("0", None, None), (None, None, None)],
    ),
    "gretel": ("gretel", "a.jsonl", as_lines(GRETEL), GRETEL_ROWS),
    "gretel as CSV": ("gretel", "a.csv", as_csv(GRETEL), GRETEL_ROWS),
    "gretel as Parquet": ("gretel", "a.parquet", as_parquet(GRETEL), GRETEL_ROWS),
    "sql_create_context": (
        "sql_create_context",
        "a.jsonl",
        as_lines([{"question": "q", "context": "create table t", "answer": "a"}]),
        [("a", None, "q")],
    ),
    "sede": ("sede", "a.jsonl", as_lines([{"Title": "t", "QueryBody": "a"}]), [("a", None, "t")]),
    "ehrsql": (
        "ehrsql",
        "a.json",
        as_json(
            [
                {"db_id": "d", "question": "q", "query": "a"},
                {"db_id": "d", "question": "r", "query": "null"},
                {"db_id": "d", "question": "s", "query": None},
            ]
        ),
        [("a", "d", "q"), ("null", "d", "r"), (None, "d", "s")],
    ),
    "text2sql_data": (
        "text2sql_data",
        "a.json",
        as_json(
            [
                {
                    "sql": ["a var1", "b"],
                    "sentences": [
                        {
                            "text": "var1, var10 or x_var1?",
                            "variables": {"var1": "A", "var10": "B", "x_var1": "C\\1"},
                        },
                        {"text": "Two", "variables": {}, "table-id": "t"},
                    ],
                },
                {"sql": ["unused"], "sentences": []},
                {"sql": ["c"], "sentences": [{"text": "Three", "database": "d"}]},
            ]
        ),
        [("a var1", None, "A, B or C\\1?"), ("a var1", "t", "Two"), ("c", "d", "Three")],
    ),
    "jsonl": ("jsonl", "a.jsonl", as_lines(MAPPED_DATA), MAPPED_ROWS),
    "jsonl as a list": ("jsonl", "a.json", as_json(MAPPED_DATA), MAPPED_ROWS),
    "jsonl with other values than texts": (
        "jsonl",
        "a.jsonl",
        b'{"the sql": ["a"], "d": 1, "q/~a": null}\n{"q/~a": true}\n',
        [("a", "1", None), (None, None, "true")],
    ),
    "parquet": ("parquet", "a.parquet", as_parquet(MAPPED_DATA), MAPPED_ROWS),
    "csv": ("csv", "a.csv", as_csv(MAPPED_DATA), [MAPPED_ROWS[0], ("# no comment", "b", None)]),
    "csv with CRLF": (
        "csv",
        "a.csv",
        as_csv(MAPPED_DATA, "\r\n"),
        [MAPPED_ROWS[0], ("# no comment", "b", None)],
    ),
}


def columns_of(format: str) -> dict[str, object]:
    return {"columns": MAPPED} if format in ("jsonl", "csv", "parquet") else {}


@pytest.mark.parametrize("dump", DUMPS)
def test_each_format_gives_its_rows(tmp_path, dump):
    format, name, content, rows = DUMPS[dump]
    path = tmp_path / name
    path.write_bytes(content)
    assert ingest(entry(path, format, **columns_of(format)), tmp_path) == rows


def test_a_folder_of_sql_files_is_read_by_name(tmp_path):
    folder = tmp_path / "queries"
    (folder / "more").mkdir(parents=True)
    for name in ("b", "a", "a2", "A", "more/c"):
        (folder / f"{name}.sql").write_bytes(f"select '{name}'\r\n".encode())
    (folder / "bom.sql").write_bytes(BOM + b"select 'bom'")
    (folder / "notes.txt").write_text("no query")
    plain = ingest(entry(folder, "sql_files"), tmp_path)
    assert [raw_sql for raw_sql, _, _ in plain] == [
        "select 'A'\r\n",
        "select 'a'\r\n",
        "select 'a2'\r\n",
        "select 'b'\r\n",
        "select 'bom'",
    ]
    some = ingest(entry(folder, "sql_files", glob="**/[bc].sql"), tmp_path)
    assert [raw_sql for raw_sql, _, _ in some] == ["select 'b'\r\n", "select 'more/c'\r\n"]


def test_many_sql_files_keep_their_order(tmp_path):
    folder = tmp_path / "queries"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number:04}.sql").write_text(str(number))
    rows = ingest(entry(folder, "sql_files"), tmp_path)
    assert [int(str(raw_sql)) for raw_sql, _, _ in rows] == list(range(3000))


def test_the_shards_of_a_dump_are_one_corpus(tmp_path):
    for number in range(3):
        rows = [{"query": f"select {number}"}]
        (tmp_path / f"train-0000{number}.parquet").write_bytes(as_parquet(rows))
    rows = ingest(entry(tmp_path, "spider", glob="train-*.parquet"), tmp_path)
    assert [raw_sql for raw_sql, _, _ in rows] == ["select 0", "select 1", "select 2"]


@pytest.mark.parametrize(
    "name", ["a*.json", "a?.json", "[ab].json", "query=x/é '\".json", "~.json"]
)
def test_a_file_may_have_any_name(tmp_path, name):
    for other in ("aa.json", "ab.json", "a.json"):
        (tmp_path / other).write_bytes(b'[{"query": "another file"}]')
    path = tmp_path / "dumps=[1]" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(as_json(SPIDER))
    assert ingest(entry(path, "spider"), tmp_path) == SPIDER_ROWS


@pytest.mark.parametrize("format", ["lines", "spider", "csv"])
def test_long_queries_are_read(tmp_path, format):
    query = "select '" + "x" * 3_000_000 + "'"
    path = tmp_path / "dump"
    content = {
        "lines": query.encode(),
        "spider": as_json([{"query": query}]),
        "csv": as_csv([{"q": query}]),
    }
    path.write_bytes(content[format])
    keys = {"columns": {"sql": "q"}} if format == "csv" else {}
    assert ingest(entry(path, format, **keys), tmp_path) == [(query, None, None)]


def test_the_same_dump_gives_the_same_bytes(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines([{"query": f"select {n}", "db_id": "d"} for n in range(130_000)]))
    digests = set()
    for threads in ("1", "2", "4"):
        monkeypatch.setenv("NL2SQL_ALIGN_THREADS", threads)
        ingest_corpus(entry(path, "spider"), tmp_path / "queries.parquet")
        digests.add(hashlib.sha256((tmp_path / "queries.parquet").read_bytes()).hexdigest())
    assert len(digests) == 1
    first, *_, last = pq.read_table(tmp_path / "queries.parquet", columns=["sql"])[
        "sql"
    ].to_pylist()
    assert (first, last) == ("select 0", "select 129999")


FAULTS = {
    "missing": ("lines", "a.sql", None, "does not exist; check path, or download the dump"),
    "empty": ("lines", "a.sql", b"", "is empty; check path, or download it again"),
    "empty Parquet": ("spider", "a.parquet", b"", "is empty"),
    "no rows": ("spider", "a.json", b"[]", "contains no query; check path, or download it again"),
    "no rows below the header": ("csv", "a.csv", b"the sql,q/~a,d\n", "contains no query"),
    "no text": (
        "lines",
        "a.sql",
        bytes(range(256)) * 9,
        "is not text (invalid UTF-8 at byte 128); check path",
    ),
    "cut JSON": (
        "spider",
        "a.json",
        as_json(SPIDER)[:-20],
        "is damaged or not in format 'spider' (Mal",
    ),
    "cut JSON lines": (
        "spider",
        "a.jsonl",
        as_lines(SPIDER)[:-9],
        'JSON in file "a.jsonl", at byte',
    ),
    "no JSON": (
        "spider",
        "a.json",
        b"select 1",
        "is damaged or not in format 'spider' (Malformed JS",
    ),
    "JSON of texts": ("spider", "a.json", b'["select 1"]', "Expected OBJECT, but got VARCHAR"),
    "cut Parquet": (
        "spider",
        "a.parquet",
        as_parquet(SPIDER)[:-9],
        "(No magic bytes found at end of",
    ),
    "damaged Parquet": (
        "spider",
        "a.parquet",
        as_parquet(SPIDER)[:100] + b"\xff" * 300 + as_parquet(SPIDER)[400:],
        "is damaged or not in",
    ),
    "no Parquet": ("spider", "a.parquet", as_json(SPIDER), "is damaged or not in format 'spider'"),
    "Parquet as JSON": (
        "jsonl",
        "a.parquet",
        as_parquet(SPIDER),
        "is not text (invalid UTF-8 at byte",
    ),
    "cut gzip": (
        "spider",
        "a.json.gz",
        gzip.compress(as_json(SPIDER))[:-9],
        "cannot be read (Truncated compressed stream); check that it is complete",
    ),
    "no gzip": ("spider", "a.json.gz", as_json(SPIDER), "cannot be read (zlib inflate failed:"),
    "cut bzip2": (
        "spider",
        "a.json.bz2",
        bz2.compress(as_json(SPIDER))[:-9],
        "(Truncated compressed",
    ),
    "other keys": (
        "spider",
        "a.json",
        b'[{"SQL": "a", "db_id": "d"}]',
        "has no queries where format 'spider' stores them (it has SQL, db_id); check format",
    ),
    "other keys, Parquet": (
        "spider",
        "a.parquet",
        as_parquet([{"x": "a"}]),
        "(it has x); check format",
    ),
    "rows further down": ("spider", "a.json", b'{"data": [{"query": "a"}]}', "(it has data)"),
    "many keys": (
        "spider",
        "a.json",
        as_json([{f"k{n:02}": n for n in range(30)}]),
        "k18, k19, ...); check",
    ),
    "no such key": (
        "jsonl",
        "a.jsonl",
        b'{"pred": "a"}\n{"x": 1}\n',
        "has no column 'the sql' (it has pred, x); check columns",
    ),
    "no such optional key": (
        "jsonl",
        "a.jsonl",
        b'{"the sql": "a", "d": "b"}',
        "has no column 'q/~a' (it has d, the sql)",
    ),
    "only nulls": (
        "jsonl",
        "a.jsonl",
        b'{"the sql": null, "q/~a": 1, "d": 2}',
        "has no queries where format 'jsonl' stores them",
    ),
    "no such column, CSV": ("csv", "a.csv", b"a,b\n1,2\n", "has no column 'the sql' (it has a, b)"),
    "no such optional column, CSV": (
        "csv",
        "a.csv",
        b"the sql,d\n1,2\n",
        "has no column 'q/~a' (it has the sql, d)",
    ),
    "no such column, Parquet": (
        "parquet",
        "a.parquet",
        as_parquet([{"x": 1}]),
        "has no column 'the sql' (it has x)",
    ),
    "ragged CSV": (
        "csv",
        "a.csv",
        b"the sql,q/~a,d\n1,2,3\n1\n",
        "is damaged or not in format 'csv'",
    ),
    "open quote": (
        "csv",
        "a.csv",
        b'the sql,q/~a,d\n"1,2,3\n',
        "is damaged or not in format 'csv'",
    ),
    "no numbers": (
        "bird_predictions",
        "a.json",
        b'{"a": "b"}',
        "Could not convert string 'a' to INT64",
    ),
    "a number twice": (
        "bird_predictions",
        "a.json",
        b'{"1": "a", "01": "b"}',
        "uses some query numbers twi",
    ),
    "control characters": (
        "csv",
        "a.csv",
        b"\x1b[2J,b\n1,2\n",
        "(it has  [2J, b); check columns",
    ),
}


def check_fault(corpus: CorpusEntry, folder: Path, message: str, path: Path | None = None) -> None:
    destination = folder / "stage" / "queries.parquet"
    with pytest.raises(CorpusError) as caught:
        ingest_corpus(corpus, destination)
    line = str(caught.value)
    assert line.startswith(f"corpus 'c' ({path or corpus.path}): ")
    assert message in line
    assert line.isprintable()
    assert len(line) < 400 + len(str(corpus.path))
    assert caught.value.exit_code == 3
    assert not list(folder.glob("stage/*"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_in_one_line_and_nothing_is_written(tmp_path, fault):
    format, name, content, message = FAULTS[fault]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    check_fault(entry(path, format, **columns_of(format)), tmp_path, message)


def test_a_folder_is_not_read_as_a_file_nor_a_file_as_a_folder(tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.write_text("select 1")
    check_fault(entry(folder, "lines"), tmp_path, "is a folder; set path to a file, or add a glob")
    check_fault(entry(file, "lines", glob="*"), tmp_path, "is not a folder; set path to the folder")
    check_fault(
        entry(folder, "sql_files"), tmp_path, "contains no file that matches '*.sql'; check path"
    )


def test_a_fault_names_the_file_in_a_folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.sql").write_bytes(b"select 1")
    (folder / "b.sql").write_bytes(bytes(range(256)))
    check_fault(entry(folder, "sql_files"), tmp_path, "at byte 128);", folder / "b.sql")


def test_a_file_may_be_one_query_of_several_lines(tmp_path):
    (tmp_path / "a.sql").write_text("select 1\nfrom a")
    assert ingest(entry(tmp_path / "a.sql", "sql_files"), tmp_path) == [
        ("select 1\nfrom a", None, None)
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_fault(tmp_path):
    path = tmp_path / "a.sql"
    path.touch(mode=0o000)
    check_fault(entry(path, "lines"), tmp_path, "cannot be read (Permission denied)")


def test_too_little_memory_names_the_variable_to_raise(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(as_json(SPIDER))
    monkeypatch.setenv("NL2SQL_ALIGN_MEMORY_LIMIT", "10MB")
    with bounded(None, None, tmp_path):
        check_fault(entry(path, "spider"), tmp_path, "raise NL2SQL_ALIGN_MEMORY_LIMIT")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("NL2SQL_ALIGN_THREADS", "many"),
        ("NL2SQL_ALIGN_THREADS", "-1"),
        ("NL2SQL_ALIGN_MEMORY_LIMIT", "4"),
    ],
)
def test_a_mistake_in_the_environment_is_a_configuration_error(
    tmp_path, monkeypatch, variable, value
):
    path = tmp_path / "a.sql"
    path.write_text("select 1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(AlignError, match=variable) as caught:
        ingest_corpus(entry(path, "lines"), tmp_path / "queries.parquet")
    assert caught.value.exit_code == 2


def test_a_failed_run_keeps_the_file_of_an_earlier_one(tmp_path):
    path, destination = tmp_path / "a.sql", tmp_path / "queries.parquet"
    path.write_text("select 1")
    ingest_corpus(entry(path, "lines"), destination)
    before = destination.read_bytes()
    path.write_bytes(bytes(range(256)))
    with pytest.raises(CorpusError):
        ingest_corpus(entry(path, "lines"), destination)
    assert destination.read_bytes() == before


def test_faults_can_be_pickled(tmp_path):
    with pytest.raises(CorpusError) as caught:
        digest_dump(entry(tmp_path / "a.sql", "lines"))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_digest_of_a_file_is_its_sha256(tmp_path):
    path = tmp_path / "a.sql"
    path.write_bytes(b"select 1")
    assert digest_dump(entry(path, "lines")) == hashlib.sha256(b"select 1").hexdigest()


def test_the_digest_of_a_folder_depends_on_names_and_contents(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.sql").write_bytes(b"1")
    (folder / "b.sql").write_bytes(b"2")
    corpus = entry(folder, "sql_files")
    first = digest_dump(corpus)
    lines = "".join(
        f"{hashlib.sha256(c).hexdigest()}  {n}.sql\n" for n, c in (("a", b"1"), ("b", b"2"))
    )
    assert first == hashlib.sha256(lines.encode()).hexdigest()
    (folder / "c.txt").write_bytes(b"not matched")
    assert digest_dump(corpus) == first
    (folder / "b.sql").rename(folder / "c.sql")
    assert digest_dump(corpus) != first


REAL_SIZES = {
    "spider-train": 8660,
    "spider-train-parquet": 7000,
    "bird-train": 9428,
    "sql-create-context-train": 8000,
    "wikisql": 80654,
    "spider-dev": 1034,
    "spider-test": 2147,
    "bird-dev": 1534,
    "bird-mini-dev-postgres": 500,
    "bird-mini-dev-mysql": 500,
    "ehrsql-mimic3-valid": 1122,
    "sede-val": 857,
    "tpcds": 99,
}


@pytest.mark.shared
def test_real_dumps_have_their_known_sizes(shared_folder, tmp_path):
    listed = load_corpora(shared_folder / "corpora" / "corpora.toml")
    corpora = {corpus.name: corpus for corpus in listed}
    expected = dict(REAL_SIZES)
    for corpus in corpora.values():
        if corpus.target is not None:
            expected[corpus.name] = REAL_SIZES[corpus.target]
    sizes = {
        name: ingest_corpus(corpora[name], tmp_path / f"{name}.parquet").n_queries
        for name in expected
    }
    assert sizes == expected


def test_a_full_disk_is_no_fault_of_the_dump(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "a.sql"
    path.write_text("select 1")
    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(AlignError, match="No space left") as caught:
        ingest(entry(path, "lines"), tmp_path)
    assert not isinstance(caught.value, CorpusError)
