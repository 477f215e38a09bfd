"""Recognition of formats, and choice of dialects."""

import json
import zipfile

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import ALIASES, AUTO, load_corpora
from nl2sql_align.tasks.ingest.dumps import ingest_corpus
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.run.inspection import inspect_dump
from nl2sql_align.tasks.templates.dialect_choice import choose_dialect, recall_dialect
from nl2sql_align.tasks.templates.rules import CANDIDATES
from nl2sql_align.tasks.templates.templatizer import Templatizer
from nl2sql_align.tasks.views.terminal.corpora import print_inspection
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.unit.ingest.test_dumps import DUMPS, as_csv, as_json, as_lines, entry
from tests.unit.ingest.test_formats import SAMPLES, ingested

# These dumps have too few rows or no SQL, or match another format as well.
NOT_RECOGNIZED = {
    name
    for name, (format, *_) in DUMPS.items()
    if format == "lines" or name in ("gold_sql", "jsonl with other values than texts")
} | {"spider of few columns", "spider as Parquet of few columns"}
READ_AS = {
    "ehrsql": "spider",
    "NSText2SQL as Parquet": "alpaca",
    "datasets, Arrow file": "parquet",
    "BigQuery, Parquet": "parquet",
    "spider, xz": "jsonl",
    "spider, zip": "jsonl",
}
AS_PREDICTIONS = {"role": "predictions", "target": "t", "model": "m"}
KNOWN = {name: given[:3] for name, given in {**DUMPS, **SAMPLES}.items()}


@pytest.mark.parametrize("name", sorted(KNOWN.keys() - NOT_RECOGNIZED))
def test_formats_are_recognized(tmp_path, name):
    format, file, content = KNOWN[name]
    (tmp_path / file).write_bytes(content)
    keys = AS_PREDICTIONS if format == "din_sql" else {}
    found, reason = resolve_format(entry(tmp_path / file, "auto", **keys))
    assert found.format == READ_AS.get(name, ALIASES.get(format, format))
    assert reason.startswith(f"recognized as format '{found.format}': ")
    if not name.startswith(("jsonl", "csv", "parquet", "bird_predictions")):
        explicit = ingested(entry(tmp_path / file, format, **keys), tmp_path)
        assert [r["raw_sql"] for r in ingested(found, tmp_path)] == [r["raw_sql"] for r in explicit]


LINES = "".join(f"SELECT a FROM b WHERE c = {n}\n" for n in range(9))
GENERIC = {
    "pred.sql": (LINES.encode(), "lines", None),
    "gold.txt": (LINES.replace("\n", "\tshop\n").encode(), "gold_sql", None),
    "script.sql": (b"SELECT a\nFROM b\nWHERE c = 1;\n", "sql_files", None),
    "log.csv": (
        as_csv([{"id": 1, "statement": "SELECT 1, 2", "calls": 3, "database": "d"}]),
        "csv",
        {"sql": "statement", "frequency": "calls", "db_id": "database", "id": "id"},
    ),
    "log.tsv": (b"statement\tq\nSELECT 1, 2\tx\n", "tsv", {"sql": "statement"}),
    "list.json": (
        as_json({"version": 1, "data": [{"gold": "SELECT 1", "question": "q"}]}),
        "jsonl",
        {"sql": "gold", "question": "question", "rows": "$.data"},
    ),
    "nested.jsonl": (
        as_lines([{"meta": {"text": "SELECT 1"}, "n": 1}]),
        "jsonl",
        {"sql": "$.meta.text"},
    ),
}


@pytest.mark.parametrize("file", GENERIC)
def test_generic_formats_are_recognized_by_their_sql(tmp_path, file):
    content, format, columns = GENERIC[file]
    (tmp_path / file).write_bytes(content)
    found, _ = resolve_format(entry(tmp_path / file, "auto"))
    assert found.format == format
    assert (found.columns.model_dump(exclude_none=True) if found.columns else None) == columns
    assert all(row["sql"].startswith("SELECT") for row in ingested(found, tmp_path))


def test_answers_are_preferred_to_gold_queries_for_predictions(tmp_path):
    rows = [{"query": "SELECT 1", "db_id": "d", "pred": "SELECT 2"}]
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    found, _ = resolve_format(entry(tmp_path / "a.jsonl", "auto", **AS_PREDICTIONS))
    assert (found.format, found.columns.sql) == ("jsonl", "pred")
    assert resolve_format(entry(tmp_path / "a.jsonl", "auto"))[0].format == "spider"


def test_folders_are_recognized(tmp_path):
    (tmp_path / "target" / "compiled" / "shop").mkdir(parents=True)
    (tmp_path / "target" / "compiled" / "shop" / "a.sql").write_text("select 1")
    assert resolve_format(entry(tmp_path / "target" / "compiled", "auto"))[0].format == "dbt"
    (tmp_path / "spider2.jsonl").write_bytes(as_lines([{"instance_id": "a", "db": "d"}]))
    assert resolve_format(entry(tmp_path, "auto"))[0].format == "spider2"
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat" / "a.sql").write_text("select 1")
    assert resolve_format(entry(tmp_path / "flat", "auto"))[0].format == "sql_files"


@pytest.mark.parametrize(
    "content",
    [b"hello\nworld\n", b"{}", b"[1, 2]", b"\xff\xfe\x00", b"[" * 100_000, b'{"a": 1}\n', b"PAR1"],
)
def test_other_files_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        resolve_format(entry(tmp_path / "a", "auto"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["\n \n", "[]", "[]\n"])
def test_files_without_queries_are_named_so(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CorpusError, match="contains no query; check path"):
        resolve_format(entry(tmp_path / "a.json", AUTO))


DIALECTS = {
    "tsql": "SELECT TOP {} [a b] FROM c WITH (NOLOCK)",
    "mysql": "SELECT `a` FROM b WHERE c = 'it\\'s' LIMIT 1, {} -- '",
    "postgres": "SELECT a::int, b ->> 'x' FROM c WHERE d ~* 'e' AND f = ${}",
    "sqlite": "SELECT a FROM b LIMIT {}",
}


@pytest.mark.parametrize("dialect", ["tsql", "sqlite"])
def test_the_dialect_that_parses_most_is_chosen(tmp_path, dialect):
    lines = "".join(DIALECTS[dialect].format(n) + "\n" for n in range(20))
    (tmp_path / "a.sql").write_text(lines)
    queries = tmp_path / "queries.parquet"
    ingest_corpus(entry(tmp_path / "a.sql", "lines"), queries)
    warehouse = Warehouse(tmp_path / "warehouse")
    choice = recall_dialect(warehouse, queries, [])
    assert (choice.dialect, choice.n_sampled) == (dialect, 20)
    assert choice.shares[dialect] == 1
    queries.unlink()
    assert recall_dialect(warehouse, queries, []) == choice
    assert choice.reason.startswith(f"dialect '{dialect}' parses most of 20 queries ({dialect} 100")


@pytest.mark.parametrize("own", [[], ["postgres"]], ids=["dump without one", "dump with one"])
def test_the_choice_is_that_of_trying_every_dialect(tmp_path, own):
    many = {"tsql": 3, "mysql": 5, "postgres": 4, "sqlite": 2}
    texts = [DIALECTS[name].format(n) for name, count in many.items() for n in range(count)]
    texts += ["not SQL", "SELECT FROM FROM"]
    (tmp_path / "a.sql").write_text("".join(text + "\n" for text in texts))
    queries = tmp_path / "queries.parquet"
    ingest_corpus(entry(tmp_path / "a.sql", "lines"), queries)
    parsed = {}
    for name in dict.fromkeys([*own, *CANDIDATES]):
        templatize = Templatizer(name)
        found = [templatize(text) for text in texts]
        parsed[name] = sum(one.template is not None for one in found) / len(texts)
    choice = choose_dialect(queries, own)
    assert choice.dialect == max(parsed, key=parsed.__getitem__)
    assert choice.shares == {name: parsed[name] for name in choice.shares}
    assert 1 < len(choice.shares) < len(parsed)


@pytest.mark.parametrize(
    ("sql", "has_subscript"),
    [
        ("SELECT arr[1] FROM t", True),
        ("SELECT m['k'] FROM t", True),
        ("SELECT a[OFFSET(0)], a[1:2] FROM t", True),
        ("SELECT (ARRAY_AGG(a ORDER BY b))[1] FROM t", True),
        ("SELECT [1, 2], [x * 2 FOR x IN l IF x > 1] FROM t", True),
        ('SELECT payload["name"] FROM t', True),
        ("SELECT props[name] FROM t", True),
        ("SELECT ARRAY[a, b] FROM t", True),
        ("SELECT a FROM UNNEST([x, y])", True),
        ("SELECT[a] FROM[t]", False),
        ("SELECT [a b], [2019], [Sales, net] FROM [dbo].[t]", False),
        ("SELECT COUNT(*)[Total], Id[Post Link] FROM t", False),
        ("SELECT a FROM t WHERE b GLOB 'x[0-9]*'", False),
    ],
)
def test_square_brackets_after_an_operand_are_not_taken_for_names(tmp_path, sql, has_subscript):
    """SQLite and T-SQL read ``a[1]`` as a column with the alias ``1``."""
    (tmp_path / "a.sql").write_text(f"{sql}\n" * 3)
    queries = tmp_path / "queries.parquet"
    ingest_corpus(entry(tmp_path / "a.sql", "lines"), queries)
    choice = choose_dialect(queries)
    assert choice.shares["sqlite"] == (0 if has_subscript else 1)
    assert (choice.dialect != "sqlite") == has_subscript


@pytest.mark.parametrize(
    ("sql", "dialects"),
    [
        ("SELECT a FROM events FINAL WHERE b = 1", {"clickhouse"}),
        ("SELECT a FROM users AS u FINAL", {"clickhouse"}),
        ("SELECT a FROM users ANY LEFT JOIN orders USING id", {"clickhouse"}),
        ("SELECT a FROM t ARRAY JOIN b", {"clickhouse"}),
        ("SELECT SQL_CALC_FOUND_ROWS a FROM t", {"mysql"}),
        ("SELECT a FROM orders (NOLOCK) WHERE b = 1", {"tsql"}),
        ("SELECT MAX(a) FROM t OPTION (RECOMPILE)", {"tsql"}),
        ("SELECT a FROM t WHERE b > SYSDATE - 7", {"oracle", "redshift"}),
        ("SELECT final, sysdate() FROM rounds AS option", {"sqlite"}),
    ],
)
def test_keywords_that_other_dialects_take_for_names_choose_their_dialect(tmp_path, sql, dialects):
    (tmp_path / "a.sql").write_text(f"{sql}\n" * 3)
    queries = tmp_path / "queries.parquet"
    ingest_corpus(entry(tmp_path / "a.sql", "lines"), queries)
    assert choose_dialect(queries).dialect in dialects


def test_an_inspection_shows_the_format_and_the_first_queries(tmp_path):
    rows = [{"question": "q", "sql_out": "SELECT a FROM b"}, {"question": "r", "sql_out": "no"}]
    (tmp_path / 'it"s.jsonl').write_bytes(as_lines(rows))
    found = inspect_dump(tmp_path / 'it"s.jsonl', dialect="sqlite")
    assert (found.format, found.columns) == ("jsonl", {"sql": "sql_out", "question": "question"})
    assert (found.n_queries, found.n_parsed, found.dialect_shares) == (2, 2, {})
    assert found.reject_reasons == {"does not parse: an expression (Column), not a statement": 1}
    assert [row["template"] for row in found.examples] == ["SELECT FROM", None]
    path = tmp_path / "corpora.toml"
    path.write_text(found.entry)
    [listed] = load_corpora(path)
    assert (listed.name, listed.path) == ("it-s", tmp_path / 'it"s.jsonl')
    with pytest.raises(ConfigurationError, match="unknown dialect 'sqlit'"):
        inspect_dump(tmp_path / 'it"s.jsonl', dialect="sqlit")


def test_a_data_set_is_not_read_from_predictions(tmp_path):
    (tmp_path / "a.csv").write_bytes(SAMPLES["DIN-SQL"][2])
    found, reason = resolve_format(entry(tmp_path / "a.csv", "auto", role="target"))
    assert (found.format, found.columns.sql) == ("csv", "GOLD SQL")
    assert "'PREDICTED SQL' (a model's answer), not taken" in reason


NO_DUMPS = {
    "README.md": "# Harbours\n\nQueries, and more.\n\nSELECT a FROM b\nSelect some boats.\n",
    "notes.txt": "Some notes\nSelect what you like\nmore\n",
    "setup.py": "import os\n\nselect = 1\n",
}


@pytest.mark.parametrize("role", ["train", "predictions"])
@pytest.mark.parametrize("name", NO_DUMPS)
def test_a_file_that_is_not_a_dump_is_reported(tmp_path, name, role):
    (tmp_path / name).write_text(NO_DUMPS[name])
    keys = AS_PREDICTIONS if role == "predictions" else {}
    start = NO_DUMPS[name].partition("\n")[0]
    with pytest.raises(CorpusError, match=f"does not look like a dump.*'{start}'|only 1 of"):
        resolve_format(entry(tmp_path / name, "auto", **keys))


@pytest.mark.parametrize("name", ["a.xlsx", "a.XLS"])
@pytest.mark.parametrize("format", ["auto", "csv"])
def test_a_workbook_is_to_be_saved_as_csv(tmp_path, name, format):
    start = b"PK\x03\x04" if name.endswith("x") else b"\xd0\xcf\x11\xe0"
    (tmp_path / name).write_bytes(start + b"\0" * 100)
    corpus = entry(tmp_path / name, format, columns={"sql": "q"} if format == "csv" else None)
    with pytest.raises(CorpusError, match="is an Excel workbook; save its sheet as CSV"):
        resolve_format(corpus)
        ingest_corpus(corpus, tmp_path / "queries.parquet")


def test_a_table_with_the_name_of_a_workbook_is_read(tmp_path):
    (tmp_path / "a.xls").write_text("query\tdb_id\n" + "SELECT a FROM b\tc\n" * 3)
    corpus = entry(tmp_path / "a.xls", "tsv", columns={"sql": "query"})
    assert ingest_corpus(corpus, tmp_path / "queries.parquet").n_queries == 3


def test_answers_of_several_lines_are_not_read_by_lines(tmp_path):
    (tmp_path / "a.sql").write_text("SELECT a\nFROM b\nWHERE c = 1;\nSELECT a\nFROM b;\n")
    with pytest.raises(CorpusError, match="only 2 of the first 5 lines start like SQL"):
        resolve_format(entry(tmp_path / "a.sql", "auto", **AS_PREDICTIONS))
    lines = ["SELECT a FROM b", "I cannot answer.", "SQL: SELECT a FROM c", ""] * 3
    (tmp_path / "b.txt").write_text("\n".join(lines))
    found, reason = resolve_format(entry(tmp_path / "b.txt", "auto", **AS_PREDICTIONS))
    assert found.format == "lines"
    assert "6 of the first 9 lines start like SQL" in reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Question 1:  How many boats? ||| port", "SQL:  select count(*) from boat"),
        ("easy pred: select a from b", "easy gold: select gold from b"),
    ],
)
def test_lines_with_other_labels_are_not_answers(tmp_path, first, second):
    (tmp_path / "a.txt").write_text(f"{first}\n{second}\n\n" * 20)
    label = r"(Question 1:|easy gold:)"
    with pytest.raises(CorpusError, match=f"labels such as '{label}'"):
        resolve_format(entry(tmp_path / "a.txt", "auto", role="predictions", target="t", model="m"))


def test_an_inspection_tells_frequencies_that_are_not_numbers(tmp_path, capsys):
    lines = ["query_sql_text,count_executions", "SELECT a FROM b,many", "SELECT c FROM b,2"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = inspect_dump(tmp_path / "a.csv")
    print_inspection(found)
    assert "\n  1 frequency is not a number, and counts once\n" in capsys.readouterr().out
    assert found.as_dict()["rows"]["n_odd_frequencies"] == 1


def test_an_inspection_of_scripts_says_how_to_read_them(tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.sql").write_text(f"SELECT {n};\nSELECT a FROM b;\n")
    found = inspect_dump(tmp_path, dialect="sqlite")
    assert found.reject_reasons == {"more than one statement": 3}
    [hint] = found.hints
    assert hint.startswith("3 of the first 3 texts hold several statements")
    assert 'set statements = "each"' in hint


def test_an_entry_cleans_texts_that_are_sql_only_then(tmp_path):
    rows = [{"asked": "q", "response": "It is:\n```sql\nSELECT a FROM b\n```"}]
    (tmp_path / "a.jsonl").write_bytes(as_lines(rows))
    found = inspect_dump(tmp_path / "a.jsonl", dialect="sqlite")
    assert found.examples[0]["template"] == "SELECT FROM"
    assert 'clean = "llm"' in found.entry and 'clean = "llm"' in found.format_reason


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", '0,"SELECT 1",b\n1,"SELECT 2",b\n'),
        ("a.log", "2024-01-01,QUERY,'SELECT a FROM b',0\n2024-01-01,QUERY,'SELECT c FROM b',0\n"),
    ],
)
def test_a_table_without_a_header_loses_no_row_in_silence(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(CorpusError, match=r"a table without a header.* add a first line"):
        resolve_format(entry(path, AUTO))


def test_a_model_of_dbt_may_start_with_its_settings(tmp_path):
    path = tmp_path / "a.sql"
    path.write_text("{{ config(materialized='table') }}\n{% set a = 1 %}\n\nselect b\nfrom c\n")
    assert resolve_format(entry(path, AUTO))[0].format == "sql_files"


def test_texts_of_queries_alone_are_not_of_snowflake(tmp_path):
    (tmp_path / "a.csv").write_text("query_number,query_text,state\n1,SELECT a FROM b,ok\n")
    assert resolve_format(entry(tmp_path / "a.csv", "auto"))[0].format == "csv"


def test_types_of_clickhouse_may_be_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("type,query,exception\n1,SELECT 1,\n2,SELECT 1,\n4,SELECT x,bad\n")
    assert resolve_format(entry(path, AUTO))[0].format == "clickhouse_query_log"


def test_utf_16_behind_utf_8_is_not_read_as_utf_16(tmp_path):
    path = tmp_path / "a.sql"
    path.write_bytes(b"SELECT 1\nSELECT 22\n" + ("SELECT a FROM b\r\n" * 3).encode("utf-16-le"))
    with pytest.raises(CorpusError, match="only 2 of the first 5 lines start like SQL"):
        resolve_format(entry(path, AUTO, **AS_PREDICTIONS))


@pytest.mark.parametrize("first", ["# exported today", "All queries\n"])
def test_lines_above_a_header_are_named(tmp_path, first):
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\nid,sql\n1,SELECT 1\n2,SELECT 2\n")
    with pytest.raises(CorpusError, match="remove the lines above the header"):
        resolve_format(entry(path, AUTO))


LINES = "SELECT a FROM t\nSELECT b FROM t\nSELECT c FROM t WHERE d = 1\n"
QUERIES = {"q1.sql": "SELECT a FROM t\n", "q2.sql": "SELECT a,\n  b\nFROM t\nWHERE c\n"}


def write_files(folder, texts):
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return folder, folder.with_suffix(".zip")


def test_several_sql_files_hold_a_query_each_or_one_a_line(tmp_path):
    each, each_zip = write_files(tmp_path / "each", QUERIES)
    lines, lines_zip = write_files(tmp_path / "lines", {"a.sql": LINES, "b.sql": LINES})
    (gold, _) = write_files(tmp_path / "gold", {"train.sql": "SELECT a FROM t\tharbour\n" * 4})
    for places, format, n_queries in (
        ((each, each_zip, tmp_path / "each" / "q*.sql"), "sql_files", 2),
        ((lines, lines_zip, tmp_path / "lines" / "*.sql"), "lines", 6),
        ((gold,), "gold_sql", 4),
    ):
        for place in places:
            found, _ = resolve_format(entry(place, AUTO))
            assert (found.format, len(ingested(found, tmp_path))) == (format, n_queries)
    one = resolve_format(entry(tmp_path / "each" / "q*.sql", AUTO, **AS_PREDICTIONS))[0]
    assert one.format == "sql_files"


def test_the_answers_of_several_models_are_not_one_dump(tmp_path):
    folder, archive = write_files(tmp_path / "made", {"oak.sql": LINES, "sprig.sql": LINES})
    for place in (folder, archive):
        with pytest.raises(CorpusError, match=r"2 files of answers.*oak\.sql, sprig\.sql"):
            resolve_format(entry(place, AUTO, **AS_PREDICTIONS))


def test_queries_below_comments_are_not_answers_a_line(tmp_path):
    path = tmp_path / "made.sql"
    path.write_text("-- the boats\nSELECT a FROM t;\n-- the harbors\nSELECT b FROM t;\n" * 3)
    with pytest.raises(CorpusError, match="cannot be read as one answer a line: only 6 of the fir"):
        resolve_format(entry(path, AUTO, **AS_PREDICTIONS))


def test_the_statements_of_a_script_are_its_queries(tmp_path):
    path = tmp_path / "queries.sql"
    path.write_text("-- the boats\nSELECT a\nFROM t;\n\nSET x = 1;\nSELECT ';'\nFROM t;\n")
    found, note = resolve_format(entry(path, AUTO))
    assert (found.format, found.statements) == ("sql_files", "each")
    assert 'statements = "each"' in note
    assert [row["sql"] for row in ingested(found, tmp_path)] == [
        "-- the boats\nSELECT a\nFROM t",
        "SELECT ';'\nFROM t",
    ]
    assert 'statements = "each"' in inspect_dump(path).entry
    given = entry(path, AUTO, statements="reject")
    assert resolve_format(given)[0].statements == "reject"
    path.write_text("WITH r AS (\n  SELECT a\n  FROM t\n)\nSELECT * FROM r;\n")
    assert resolve_format(entry(path, AUTO))[0].statements == "reject"


def test_scripts_beside_the_rows_of_a_data_set_are_not_its_queries(tmp_path):
    rows = json.dumps([{"query": "SELECT a FROM t", "db_id": "d"}])
    table = "CREATE TABLE t (a INT);\n"
    others = {"schema.sql": table, "tables.json": "[]", "database/d/schema.sql": table}
    for place in write_files(tmp_path / "set", {"rows.json": rows, "README.md": "#", **others}):
        found, _ = resolve_format(entry(place, AUTO, glob=None))
        assert (found.format, len(ingested(found, tmp_path))) == ("spider", 1)
