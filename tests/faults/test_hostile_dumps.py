"""Mutated, oversized and malicious dumps: each is ingested, or refused with one line.

``python -m benchmarks.fuzz`` tries any number of mutations, of real dumps too.
"""

import random
import re
import time

import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import digest_dump, ingest_corpus
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import DUMPS, as_json, columns_of, entry
from tests.unit.ingest.test_formats import SAMPLES
from tests.unit.ingest.test_tool_formats import TOOL_SAMPLES

pytestmark = pytest.mark.fault

CASES = 50
KNOWN = {**DUMPS, **SAMPLES, **TOOL_SAMPLES}
PIECES = [
    b"\0",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"'",
    b'"',
    b"```",
    b"[" * 500,
    b"(" * 3000,
    b"{" * 50,
    b"\\u0000",
    b"\\ud800",
    b"\r",
    b"\n\n",
    b"\t",
    b",,,",
    b"; DROP TABLE a; --",
    b"'; copy (select 1) to 'pwned.csv'; --",
    b"$path",
    "\N{PILE OF POO}".encode(),
    b"9" * 400,
    b"-1e999",
]
ENCODINGS = (
    "utf-8-sig",
    "utf-16",
    "utf-16-be",
    "utf-32",
    "cp1252",
    "gb18030",
    "shift_jis",
    "cp037",
)
MEANING = {"clean": ["llm", "first", "none"], "statements": ["first", "last", "each", "reject"]}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a dump that is cut off, or has another order, encoding, keys or bytes."""
    kind = rng.randrange(10)
    if kind == 0:
        return content[: rng.randrange(len(content) + 1)]
    if kind == 1:
        lines = content.split(b"\n")
        rng.shuffle(lines)
        return b"\n".join(lines)
    if kind == 2:
        keys = sorted(set(re.findall(rb'"(\w{1,30})"\s*:', content)))
        old, new = (rng.choice(keys or [b"a"]) for _ in range(2))
        return content.replace(b'"%s"' % old, b'"%s"' % rng.choice((new, old.upper(), b"", b"x")))
    if kind == 3:
        text = content.decode("utf-8", "replace")
        return text.encode(rng.choice(ENCODINGS), "replace")
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(5)
        if kind == 0:
            del data[at : min(end, at + 40)]
        elif kind == 1:
            data[at:at] = rng.choice(PIECES)
        elif kind == 2 and data:
            data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 3:
            data[at:at] = data[at:end] * rng.randrange(1, 4)
        else:
            data[at:end] = rng.choice(PIECES) + data[at:end][::-1]
    return bytes(data[:1_000_000])


def outcome(corpus: CorpusEntry, folder) -> str:
    """Return ``taken``, or the reason for which the dump was refused."""
    destination = folder / "stage" / "queries.parquet"
    destination.unlink(missing_ok=True)
    try:
        known, _ = resolve_format(corpus)
        digest_dump(known)
        report = ingest_corpus(known, destination)
    except CorpusError as error:
        line = str(error)
        assert line.isprintable(), repr(line)
        assert not destination.exists()
        return line
    assert pq.read_metadata(destination).num_rows == report.n_queries > 0
    return "taken"


def test_mutated_dumps_are_taken_or_refused(tmp_path):
    rng = random.Random(5)
    names = sorted(KNOWN)
    taken = 0
    (tmp_path / "dumps").mkdir()
    for case in range(CASES):
        format, file, content, *_ = KNOWN[rng.choice(names)]
        path = tmp_path / "dumps" / file
        path.write_bytes(mutated(content, rng))
        is_auto = rng.random() < 0.3
        keys = {} if is_auto else columns_of(format)
        keys |= {key: rng.choice(values) for key, values in MEANING.items()}
        started = time.perf_counter()
        found = outcome(entry(path, "auto" if is_auto else format, **keys), tmp_path)
        assert time.perf_counter() - started < 60, (case, format)
        taken += found == "taken"
        path.unlink()
        assert {p.name for p in tmp_path.iterdir()} <= {"dumps", "stage"}, case
        assert {p.name for p in (tmp_path / "stage").glob("*")} <= {"queries.parquet"}, case
    assert CASES / 20 < taken < CASES


HOSTILE = {
    "nested list": ("jsonl", b"[" * 1_000_000),
    "nested row": ("jsonl", b'{"the sql": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "nested query": ("lines", b"SELECT " + b"(" * 1_000_000 + b"\n"),
    "NUL bytes": ("lines", b"SELECT '\0\0'\n\0\n"),
    "directions": ("lines", "SELECT '\u202e1' -- \u2066x\n".encode()),
    "duplicate keys": ("jsonl", b'{"the sql": "a", "the sql": "b"}\n'),
    "lone surrogate": ("jsonl", b'{"the sql": "SELECT \\ud800"}\n'),
    "one long line": ("jsonl", b'{"the sql": "' + b"x" * 100_000_000 + b'"}\n'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_taken_or_refused(tmp_path, name):
    format, content = HOSTILE[name]
    path = tmp_path / "a"
    path.write_bytes(content)
    (tmp_path / "stage").mkdir()
    keys = {"columns": {"sql": "the sql"}} if format == "jsonl" else {}
    found = outcome(entry(path, format, clean="llm", **keys), tmp_path)
    assert (found == "taken") == (format == "lines" or name == "nested row"), found
    if name == "one long line":
        assert "has a row of more than 32 MB" in found
    if name == "duplicate keys":
        assert "must be unique" in found


@pytest.mark.parametrize(
    "name",
    ["../../x", "a'; drop table b; --", "\N{PILE OF POO}", "", "a/b", "x" * 101],
)
def test_names_with_paths_or_quotes_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="name"):
        entry(tmp_path / "a", "lines", name=name)


def test_nothing_in_a_dump_is_executed(tmp_path):
    attack = f"'; copy (select 42) to '{tmp_path}/pwned.csv'; attach '{tmp_path}/x.db'; --"
    (tmp_path / "dumps").mkdir()
    path = tmp_path / "dumps" / "it's $path [a] {b}.json"
    path.write_bytes(as_json([{"query": attack, "db_id": attack, attack: attack}]))
    for keys in ({}, {"statements": "each"}, {"clean": "llm"}):
        assert outcome(entry(path, "spider", **keys), tmp_path) == "taken"
        (tmp_path / "stage" / "queries.parquet").unlink()
    (tmp_path / "dumps" / "a.jsonl").write_bytes(as_json([{attack: "SELECT 1"}]))
    corpus = entry(tmp_path / "dumps" / "a.jsonl", "jsonl", columns={"sql": attack})
    assert outcome(corpus, tmp_path) == "taken"
    assert {p.name for p in tmp_path.iterdir()} == {"dumps", "stage"}
