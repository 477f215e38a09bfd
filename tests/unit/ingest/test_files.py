"""Splits of folders and archives, encodings that zero bytes tell, and texts within quotes."""

import codecs
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.archives import find_wide_encoding, guess_start_encoding
from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.dumps import ingest_corpus, list_sources
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from tests.unit.ingest.test_dumps import as_csv, as_json, as_lines, entry, ingest

AS_PREDICTIONS = {"role": "predictions", "target": "t", "model": "m"}

# ---- splits -------------------------------------------------------------------------------------

SPLITS = {
    "suffixes beside the whole": (
        ["port.json", "port_fewshot.json", "port_test.json"],
        r"\(fewshot, test, port\.json without one\); .* such as '\*_fewshot\.\*'",
    ),
    "dashes": (["port-train.json", "port-dev.json"], r"\(dev, train\); .* '\*-dev\.\*'"),
    "dots": (["port.train.json", "port.validation.json"], r"\(train, validation\)"),
    "words in two parts": (["port_few_shot.json", "port_test.json"], r"'\*_few_shot\.\*'"),
    "upper case": (["Port_Train.json", "Port_Test.json"], r"\(test, train\); .* '\*_Test\.\*'"),
    "at the start": (["train-0.json", "test-0.json"], r"\(test, train\); .* 'test-\*'"),
    "one split beside the rest": (["boats.json", "dev.json"], r"boats\.json without one\); .*'dev"),
}
ONE_SPLIT = {
    "shards": ["train-00000-of-00002.json", "train-00001-of-00002.json"],
    "two names": ["train_boats.json", "train_others.json"],
    "no split": ["boats.json", "latest.json", "device.json", "contest.json"],
}


def write_files(folder, names):
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(as_json([{"query": "select 1", "db_id": "a"}]))
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for name in names:
            archive.write(folder / name, f"data/{name}")


@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize("name", SPLITS)
def test_several_splits_are_not_read_as_one_set(name, kind, tmp_path):
    names, message = SPLITS[name]
    write_files(tmp_path / "data", names)
    path = tmp_path / ("data" if kind == "folder" else "data.zip")
    with pytest.raises(CorpusError, match=rf"contains several splits .*{message}"):
        list_sources(entry(path, "spider"))
    assert len(list_sources(entry(path, "spider", glob="*.json"))) == len(names)


def test_the_suggested_glob_chooses_one_split(tmp_path):
    write_files(tmp_path / "data", ["port.json", "port_fewshot.json", "port_test.json"])
    [source] = list_sources(entry(tmp_path / "data", "spider", glob="*_fewshot.*"))
    assert source.name == "port_fewshot.json"


@pytest.mark.parametrize("name", ONE_SPLIT)
def test_files_of_one_split_are_one_set(name, tmp_path):
    write_files(tmp_path / "data", ONE_SPLIT[name])
    for path in (tmp_path / "data", tmp_path / "data.zip"):
        assert len(list_sources(entry(path, "spider"))) == len(ONE_SPLIT[name])


# ---- encodings ----------------------------------------------------------------------------------

QUERIES = ["SELECT name FROM harbour", "SELECT count(*) FROM boat WHERE kind = 'Fähre'"]
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
MARKS = {
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}
TEXTS = {
    "answers.sql": ("".join(f"{query}\n" for query in QUERIES), "lines"),
    "gold.txt": ("".join(f"{query}\tport\n" for query in QUERIES), "gold_sql"),
    "rows.jsonl": (as_lines([{"query": q, "db_id": "p"} for q in QUERIES]).decode(), "spider"),
    "rows.json": (as_json([{"query": q, "db_id": "p"} for q in QUERIES]).decode(), "spider"),
    "rows.csv": (as_csv([{"id": "1", "stmt": q} for q in QUERIES], "\r\n").decode(), "csv"),
}


@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "plain"])
@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("name", TEXTS)
def test_wide_texts_are_recognized_and_converted(name, encoding, is_marked, tmp_path):
    text, format = TEXTS[name]
    path = tmp_path / name
    path.write_bytes(is_marked * MARKS[encoding] + text.encode(encoding))
    corpus, _ = resolve_format(entry(path, AUTO))
    assert corpus.format == format
    assert [row[0] for row in ingest(corpus, tmp_path)] == QUERIES
    report = ingest_corpus(corpus, tmp_path / "again.parquet")
    assert report.encoding.name == (encoding[:6] if is_marked else encoding)


def test_zero_bytes_alone_do_not_show_a_wide_encoding():
    assert find_wide_encoding(b"") is None
    assert find_wide_encoding(b"SELECT 1;\0\n" * 9) is None
    assert find_wide_encoding(b"\0" * 64) is None
    assert find_wide_encoding("SELECT 船 FROM 港口".encode("utf-16-le")) == "utf-16-le"


def test_a_start_that_ends_within_a_character_is_utf_8():
    assert guess_start_encoding("SELECT 'é".encode()[:-1]) == "utf-8"
    assert guess_start_encoding("SELECT 'é' FROM a".encode("cp1252")) == "cp1252"
    assert guess_start_encoding(b"\xff\xfe\x00\x01") == "utf-16"


def test_columns_with_letters_of_a_code_page_are_recognized(tmp_path):
    path = tmp_path / "fragen.csv"
    rows = [{"Schlüssel": "1", "Abfrage für Häfen": query} for query in QUERIES]
    path.write_bytes(as_csv(rows).decode().encode("cp1252"))
    corpus, _ = resolve_format(entry(path, AUTO))
    assert [row[0] for row in ingest(corpus, tmp_path)] == QUERIES


# ---- separators within quotes -------------------------------------------------------------------

FIRST_QUERIES = {
    "SELECT string_agg(name, ';') FROM boat;SELECT 2": "SELECT string_agg(name, ';') FROM boat",
    "SELECT 'it''s; {x}' FROM \"a;b\";SELECT 3": "SELECT 'it''s; {x}' FROM \"a;b\"",
    "SELECT {a, b}, '{a}' FROM t GROUP BY {};": "SELECT a, b, '{a}' FROM t GROUP BY a, b",
    "SELECT x #>> '{a,b}', {c} FROM t GROUP BY {}": "SELECT x #>> '{a,b}', c FROM t GROUP BY c",
    "-- don't; {x}\nSELECT 1; SELECT 2": "-- don't; {x}\nSELECT 1",
    "/* a; 'b {c} */ SELECT {a};SELECT 2": "/* a; 'b {c} */ SELECT a",
    "SELECT `a;b` FROM t; SELECT 2": "SELECT `a;b` FROM t",
    "SELECT 'unclosed; {a}": "SELECT 'unclosed; {a}",
    "; SELECT 9;": "SELECT 9",
    "SELECT a - b / c FROM t; SELECT 2": "SELECT a - b / c FROM t",
    "": "",
}


def test_alternatives_of_sql_eval_end_outside_quotes_and_comments(tmp_path):
    path = tmp_path / "questions.csv"
    path.write_bytes(as_csv([{"question": "q", "query": q, "db_name": "d"} for q in FIRST_QUERIES]))
    destination = tmp_path / "queries.parquet"
    ingest_corpus(entry(path, "sql_eval"), destination)
    assert pq.read_table(destination)["sql"].to_pylist() == list(FIRST_QUERIES.values())


@pytest.mark.parametrize("role", ["train", "target"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_blank_lines_separate_interactions_of_gold_files(line_end, role, tmp_path):
    lines = ["select 1\tport", "select 2\tport", "", "select 3\tquay", "  ", "", "select 4", ""]
    path = tmp_path / "gold.txt"
    path.write_bytes("".join(f"{line}{line_end}" for line in lines).encode())
    rows = ingest(entry(path, "gold_sql", role=role), tmp_path)
    assert [row[:2] for row in rows] == [
        ("select 1", "port"),
        ("select 2", "port"),
        ("select 3", "quay"),
        ("select 4", None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", b"id,sql\n", {"sql": "sql"}),
        ("a.tsv", b"id\tsql\n\n\n", {"sql": "sql"}),
        ("a.json", b"[]", {"sql": "sql"}),
        ("a.yaml", b"[]\n", {"sql": "sql"}),
        ("a.parquet", pa.table({"sql": pa.array([], pa.string())}), {"sql": "sql"}),
    ],
)
def test_a_dump_without_a_row_is_named_so_however_it_is_read(tmp_path, name, content, columns):
    path = tmp_path / name
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content)
    format = {"json": "jsonl", "yaml": "jsonl"}.get(path.suffix[1:], path.suffix[1:])
    for keys, advice in (({}, "download it again"), (AS_PREDICTIONS, "write the answers again")):
        with pytest.raises(CorpusError, match=f"contains no query; check path, or {advice}"):
            resolve_format(entry(path, AUTO, **keys))
        with pytest.raises(CorpusError, match=f"contains no query; check path, or {advice}"):
            ingest_corpus(entry(path, format, columns=columns, **keys), tmp_path / "q.parquet")
        with pytest.raises(CorpusError, match=f"is empty; check path, or {advice}"):
            (tmp_path / "empty.sql").touch()
            ingest_corpus(entry(tmp_path / "empty.sql", "lines", **keys), tmp_path / "q.parquet")


def test_a_dump_may_start_with_a_table_without_rows(tmp_path):
    for name, queries in (("0.parquet", []), ("1.parquet", ["SELECT 1"])):
        pq.write_table(pa.table({"sql": pa.array(queries, pa.string())}), tmp_path / name)
    found, _ = resolve_format(entry(tmp_path, AUTO))
    assert (found.format, ingest_corpus(found, tmp_path / "q").n_queries) == ("parquet", 1)
