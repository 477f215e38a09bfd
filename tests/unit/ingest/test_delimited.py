"""Tables of text: their separators, and damaged rows that cost themselves and not the file."""

import csv
from contextlib import nullcontext

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.delimited import (
    UnreadableTableError,
    find_separator,
    repair_table,
)
from nl2sql_align.tasks.ingest.dumps import digest_dump, ingest_corpus, read_row_counts
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.ingest.original_rows import read_original_rows
from tests.unit.ingest.test_dumps import entry

# ---- damaged rows -------------------------------------------------------------------------------

HEADER = "id,note,sql\n"
REST = "7,x,SELECT 7\n8,y,SELECT 8\n"
REST_ROWS = [["7", "x", "SELECT 7"], ["8", "y", "SELECT 8"]]
LOST = ["", "", ""]
# The rows after the header and before REST, the values that are read, and the reported damage.
READ = {
    "a quoted part of a value": (
        '1,"the price". Return it,SELECT 1\n',
        [["1", "the price. Return it", "SELECT 1"]],
        "1 row has stray quotes and is read as the columns fit: line 2",
    ),
    "quotes within a quoted value": (
        '1,"the "price" of it",SELECT 1\n',
        [["1", 'the "price" of it', "SELECT 1"]],
        "1 row has stray quotes and is read as the columns fit: line 2",
    ),
    "a separator between them": (
        '1,"the "price, and more" of it","SELECT 1, 2"\n',
        [["1", 'the "price, and more" of it', "SELECT 1, 2"]],
        "1 row has stray quotes and is read as the columns fit: line 2",
    ),
    "an odd quote within a quoted value": (
        '1,"a 5" pipe",SELECT 1\n',
        [["1", 'a 5" pipe', "SELECT 1"]],
        "1 row has stray quotes and is read as the columns fit: line 2",
    ),
    "quotes in plain values": (
        '1,he said "hi",SELECT "a"\n',
        [["1", 'he said "hi"', 'SELECT "a"']],
        "",
    ),
    "an odd quote in a plain value": (
        '1,5" pipe,SELECT 1\n',
        [["1", '5" pipe', "SELECT 1"]],
        "",
    ),
    "a quote at the end of a plain value": (
        '1,5",SELECT 1\n2,"x" y,SELECT 2\n',
        [LOST, ["2", "x y", "SELECT 2"]],
        "1 row has stray quotes and is read as the columns fit: line 3; "
        "1 row is damaged, and its values are lost: line 2",
    ),
    "a damaged row after the header": (
        '1,x\n2,"y\nz",SELECT 2\n3,x,SELECT 3\n',
        [LOST, ["2", "y\nz", "SELECT 2"], ["3", "x", "SELECT 3"]],
        "1 row is damaged, and its values are lost: line 2",
    ),
    "a quote that never ends": (
        '1,"abc,SELECT 1\n',
        [LOST],
        "1 row is damaged, and its values are lost: line 2",
    ),
    "a quote that ends in another row": (
        '1,"abc,SELECT 1\n2,"x, y",SELECT 2\n3,z,SELECT 3\n',
        [LOST, ["2", "x, y", "SELECT 2"], ["3", "z", "SELECT 3"]],
        "1 row is damaged, and its values are lost: line 2",
    ),
    "mixed line ends": (
        '1,x,SELECT 1\r\n2,"y\nz",SELECT 2\r\n3,x,SELECT 3\n',
        [["1", "x", "SELECT 1"], ["2", "y\nz", "SELECT 2"], ["3", "x", "SELECT 3"]],
        "",
    ),
    "a carriage return within a value": (
        "1,x\ry,SELECT 1\n",
        [["1", "x\ry", "SELECT 1"]],
        "",
    ),
    "too few values": (
        "1,x\n2,y,SELECT 2\n",
        [LOST, ["2", "y", "SELECT 2"]],
        "1 row is damaged, and its values are lost: line 2",
    ),
    "too many values": (
        "1,x,SELECT a, b\n2,y,SELECT 2\n",
        [LOST, ["2", "y", "SELECT 2"]],
        "1 row is damaged, and its values are lost: line 2",
    ),
    "empty values beyond the header": (
        "1,x,SELECT 1,\n2,y,SELECT 2,,\n",
        [["1", "x", "SELECT 1"], ["2", "y", "SELECT 2"]],
        "",
    ),
    "blank lines": ("\n1,x,SELECT 1\n   \n\n", [["1", "x", "SELECT 1"]], ""),
    "a zero byte": ("1,x\0y,SELECT 1\n", [["1", "x\0y", "SELECT 1"]], ""),
    "doubled quotes": ('1,"a ""b"" c",""""\n', [["1", 'a "b" c', '"']], ""),
    "quotes escaped by backslashes": (
        '1,"say \\"hi, you\\"","SELECT \\"a\\""\n2,"c:\\\\",SELECT 2\n3,"x ""y"" \\z",SELECT 3\n',
        [
            ["1", 'say "hi, you"', 'SELECT "a"'],
            ["2", "c:\\", "SELECT 2"],
            ["3", 'x "y" \\z', "SELECT 3"],
        ],
        "its quotes are escaped by backslashes",
    ),
    "a backslash before the end of a value": (
        '1,"c:\\",SELECT 1\n2,"d:\\",SELECT 2\n3,"x" y,SELECT 3\n',
        [["1", "c:\\", "SELECT 1"], ["2", "d:\\", "SELECT 2"], ["3", "x y", "SELECT 3"]],
        "1 row has stray quotes and is read as the columns fit: line 4",
    ),
    "lines of a damaged value that look like rows": (
        '1,"x\ny",SELECT 1\n2,"a "b",\nc, d, e\n"f",SELECT 2\n3,x,SELECT 3\n4,x,SELECT 4\n'
        "5,x,SELECT 5\n6,x,SELECT 6\n",
        [
            ["1", "x\ny", "SELECT 1"],
            *([LOST] * 3),
            ["3", "x", "SELECT 3"],
            ["4", "x", "SELECT 4"],
            ["5", "x", "SELECT 5"],
            ["6", "x", "SELECT 6"],
        ],
        "3 rows are damaged, and their values are lost: line 4, line 5, line 6",
    ),
    "a value of several lines with a stray quote": (
        '1,"x\ny",SELECT 1\n2,"a "b c\nd",SELECT 2\n',
        [["1", "x\ny", "SELECT 1"], ["2", 'a "b c\nd', "SELECT 2"]],
        "1 row has stray quotes and is read as the columns fit: lines 4 to 5",
    ),
    "a value that lost its first quote": (
        '1,"x\ny",SELECT 1\n2,x,SELECT a\nFROM b"\n3,x,SELECT 3\n',
        [["1", "x\ny", "SELECT 1"], LOST, LOST, ["3", "x", "SELECT 3"]],
        "2 rows are damaged, and their values are lost: line 4, line 5",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_only_the_damaged_row_is_lost(name, tmp_path):
    text, rows, reported = READ[name]
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + text + REST).encode())
    damage = repair_table(path, tmp_path / "copy.csv", ",")
    with (tmp_path / "copy.csv").open(newline="") as file:
        assert [*csv.reader(file)][1:] == rows + REST_ROWS
    assert damage.text == reported


@pytest.mark.parametrize("name", READ)
def test_damaged_rows_keep_their_places_among_the_queries(name, tmp_path):
    text, rows, reported = READ[name]
    path = tmp_path / "a.csv"
    path.write_bytes((HEADER + text + REST).encode())
    corpus = entry(path, "csv", columns={"sql": "sql", "question": "note", "id": "id"})
    queries = tmp_path / "queries.parquet"
    report = ingest_corpus(corpus, queries)
    found = pq.read_table(queries).to_pylist()
    assert [row["sql"] for row in found] == [row[2] for row in rows + REST_ROWS]
    assert read_row_counts(queries).reading == report.rows.reading == reported


def test_the_rows_of_a_damaged_table_are_the_ones_chosen_for_training(tmp_path):
    path = tmp_path / "a.csv"
    text = 'id;note;sql\n1;"the "price, more" of it";SELECT 1\n2;"x;SELECT 2\n3;y;SELECT 3\n4;;\n'
    path.write_bytes(text.encode("utf-16"))
    corpus = entry(path, "csv", columns={"sql": "sql"})
    queries = tmp_path / "queries.parquet"
    ingest_corpus(corpus, queries)
    sources = pl.DataFrame(
        {"corpus": ["c"], "format": ["csv"], "path": [str(path)], "digest": [digest_dump(corpus)]}
    )
    chosen = pl.DataFrame(
        {"source": ["c", "c"], "ordinal": [0, 2], "raw_sql": ["SELECT 1", "SELECT 3"]}
    )
    with connect() as con:
        records = read_original_rows(con, sources, chosen).to_list()
    assert records == [
        '{"id":"1","note":"the \\"price, more\\" of it","sql":"SELECT 1"}',
        '{"id":"3","note":"y","sql":"SELECT 3"}',
    ]


REFUSED = {
    "half of the rows": ("a,b\n1,2\n1\n", "1 of 2 rows cannot be read: line 3"),
    "all rows": ("a,b\n1,2,3\n1,2,3\n", "2 of 2 rows cannot be read: line 2, line 3"),
    "the header": ('a,"b" c"\n1,2\n', "the header is damaged"),
    "an open header": ('a,"b\n1,2\n', "the header is damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_is_damaged_too_much_is_refused_with_its_lines(name, tmp_path):
    text, message = REFUSED[name]
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UnreadableTableError, match=message):
        repair_table(path, tmp_path / "copy.csv", ",")
    with pytest.raises(CorpusError, match=f"is damaged or not in format 'csv'.*{message}"):
        ingest_corpus(entry(path, "csv", columns={"sql": "b"}), tmp_path / "queries.parquet")


def test_binary_data_is_not_a_damaged_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + bytes(range(256)) * 99)
    with pytest.raises(CorpusError, match=r"is not text|is damaged or not in format 'csv'"):
        ingest_corpus(entry(path, "csv", columns={"sql": "b"}), tmp_path / "queries.parquet")


def test_a_row_that_is_too_long_counts_as_damaged(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + f"1,{'x' * 99},SELECT 1\n" + REST)
    damage = repair_table(path, tmp_path / "copy.csv", ",", max_row_characters=50)
    assert damage.lost.first == ("line 2",)


def test_a_log_without_a_header_is_repaired_by_its_usual_number_of_values(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('end of a row"\n' + "1,x,SELECT 1\n2,y,SELECT 2\n3,z,SELECT 3\n")
    damage = repair_table(path, tmp_path / "copy.csv", ",", has_header=False)
    assert damage.lost.first == ("line 1",)


@pytest.mark.parametrize("text", ['1,"a\n' * 9, '1,"a"b,"c\n' * 9, '1,"a""' * 9, '"' * 99])
def test_quotes_that_never_match_are_reported(text, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + text)
    with pytest.raises(UnreadableTableError):
        repair_table(path, tmp_path / "copy.csv", ",")


FORMATS = {
    "sql_eval": "question,query,db_name,query_category",
    "bigquery_jobs": "query,project_id,job_id,statement_type",
    "snowflake_history": "QUERY_TEXT,DATABASE_NAME,SCHEMA_NAME,QUERY_TYPE",
    "pg_stat_statements": "query,calls,datname,userid",
    "gretel": "sql_prompt,sql,sql_context,domain",
    "din_sql": "NLQ,PREDICTED SQL,GOLD SQL,DATABASE",
}


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
@pytest.mark.parametrize("format", FORMATS)
def test_all_formats_read_damaged_rows_and_other_separators(format, separator, tmp_path):
    names = FORMATS[format].split(",")
    rows = [dict.fromkeys(names, f'"SELECT a{separator} b{number}"') for number in range(3)] + [
        dict.fromkeys(names, '"SELECT "x" FROM b"')
    ]
    lines = [separator.join(names), *(separator.join(row.values()) for row in rows)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n")
    role = {"role": "predictions", "target": "t", "model": "m"} if format == "din_sql" else {}
    corpus, _ = resolve_format(entry(path, AUTO, **role))
    assert corpus.format == format
    queries = tmp_path / "queries.parquet"
    report = ingest_corpus(corpus, queries)
    assert pq.read_table(queries)["raw_sql"].to_pylist() == [
        *(f"SELECT a{separator} b{number}" for number in range(3)),
        'SELECT "x" FROM b',
    ]
    assert "read as the columns fit: line 5" in report.rows.reading


# ---- separators ---------------------------------------------------------------------------------

SEPARATED = {
    "commas": ("id,sql\n1,SELECT 1\n", ","),
    "semicolons around SQL full of commas": ("id;sql;db\n1;SELECT a, b, c FROM t;port\n", ";"),
    "semicolons and decimal commas": ("id;sql;price\n1;SELECT a, b;2,5\n2;SELECT a;3,5\n", ";"),
    "a comma in a name": ("id;price, net;sql\n1;2,5;SELECT a\n2;3,5;SELECT b\n", ";"),
    "bars": ("id|sql\n1|SELECT a, b\n", "|"),
    "tabs": ("id\tsql\n1\tSELECT a, b; SELECT c\n", "\t"),
    "semicolons within quotes": ('id,"a;b",sql\n1,x,SELECT 1;\n', ","),
    "quoted names": ('"id";"a, b";"sql"\n"1";"2, 3";"SELECT a, b"\n', ";"),
    "one column": ("sql\nSELECT a; SELECT b\n", ","),
    "one row": ("id;sql", ";"),
    "an incomplete last row": ("id;sql\n1;SELECT a\n2;SELECT b\n3", ";"),
    "a damaged row": ('id;sql\n1;"SELECT "a" x\n2;SELECT b, c\n3;SELECT d\n', ";"),
    "values of several lines": ('id;sql\n1;"SELECT a,\nb, c"\n2;SELECT b, c\n', ";"),
    "nothing": ("", ","),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_the_header_and_the_rows_show_the_separator(name):
    text, separator = SEPARATED[name]
    assert find_separator(text) == separator
    assert find_separator(text.replace("\n", "\r\n")) == separator


def test_a_table_in_a_tsv_file_has_tabs_unless_its_header_shows_others(tmp_path):
    assert find_separator("sql\nSELECT a, b\n", "\t") == "\t"
    path = tmp_path / "a.tsv"
    for content, format in ((b"sql\nSELECT a, b\n", "tsv"), (b"id;sql\n1;SELECT a, b\n", "csv")):
        path.write_bytes(content)
        corpus, _ = resolve_format(entry(path, AUTO))
        assert corpus.format == format
        ingest_corpus(corpus, tmp_path / "queries.parquet")
        assert pq.read_table(tmp_path / "queries.parquet")["sql"].to_pylist() == ["SELECT a, b"]
        (tmp_path / "queries.parquet").unlink()


def test_blank_lines_may_precede_the_header(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\n  \n" + HEADER + '1,"x" y,SELECT 1\n' + REST)
    repair_table(path, tmp_path / "copy.csv", ",")
    with (tmp_path / "copy.csv").open(newline="") as file:
        assert [*csv.reader(file)][:2] == [["id", "note", "sql"], ["1", "x y", "SELECT 1"]]


def test_the_line_that_names_the_separator_for_excel_is_left_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfsep=;\r\nid; sql\r\n7;SELECT a, b FROM c\r\n8;SELECT 1\r\n")
    found, _ = resolve_format(entry(path, AUTO))
    ingest_corpus(found, tmp_path / "queries")
    table = pq.read_table(tmp_path / "queries")
    assert table["raw_sql"].to_pylist() == ["SELECT a, b FROM c", "SELECT 1"]
    assert table["id"].to_pylist() == ["7", "8"]
    sources = [{"corpus": "c", "path": str(path), "format": "csv", "digest": digest_dump(found)}]
    chosen = [{"source": "c", "ordinal": 1, "raw_sql": "SELECT 1"}]
    with connect() as con:
        records = read_original_rows(con, pl.DataFrame(sources), pl.DataFrame(chosen)).to_list()
    assert records == ['{"id":"8","sql":"SELECT 1"}']


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nid;question;sql\n7;q;SELECT a, b FROM c\n8;q;SELECT 1\n",
        "\ufeffsep=;\r\n\r\nid;question;sql\r\n7;q;SELECT a, b FROM c\r\n8;q;SELECT 1\r\n",
        '\n  \nid,question,sql\n7,q,"SELECT a, b FROM c"\n8,q,SELECT 1\n',
        'id,question,sql\r7,q,"SELECT a, b FROM c"\r8,q,SELECT 1\r',
    ],
)
def test_lines_above_the_header_and_any_line_ends_give_the_same_rows(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode())
    found, _ = resolve_format(entry(tmp_path / "a.csv", AUTO))
    for corpus in (found, entry(tmp_path / "a.csv", "csv", columns={"sql": "sql", "id": "id"})):
        ingest_corpus(corpus, tmp_path / "queries")
        table = pq.read_table(tmp_path / "queries")
        assert table["raw_sql"].to_pylist() == ["SELECT a, b FROM c", "SELECT 1"]
        assert table["id"].to_pylist() == ["7", "8"]


def test_lines_above_the_header_count_in_the_places_of_damage(tmp_path):
    (tmp_path / "a.csv").write_text("\n\n" + HEADER + '1,"x" y,SELECT 1\n' + REST)
    report = ingest_corpus(
        entry(tmp_path / "a.csv", "csv", columns={"sql": "sql"}), tmp_path / "queries"
    )
    assert report.rows.reading.endswith("read as the columns fit: line 4")


def test_the_separator_is_reported(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfid;sql;db\r\n1;SELECT a, b FROM t;port\r\n")
    corpus, _ = resolve_format(entry(path, AUTO))
    report = ingest_corpus(corpus, tmp_path / "queries.parquet")
    [row] = pq.read_table(tmp_path / "queries.parquet").to_pylist()
    assert (row["sql"], row["db_id"]) == ("SELECT a, b FROM t", "port")
    assert report.rows.reading == "its values are separated by ';'"


def test_files_with_different_separators_are_not_one_dump(tmp_path):
    for name, separator in (("a", ","), ("b", ";")):
        (tmp_path / f"{name}.csv").write_text(f"id{separator}sql\n1{separator}SELECT 1\n")
    corpus = entry(tmp_path, "csv", columns={"sql": "sql"}, glob="*.csv")
    with pytest.raises(CorpusError, match="has files with different separators"):
        ingest_corpus(corpus, tmp_path / "stage" / "queries.parquet")


def test_damage_in_several_files_is_reported_with_their_names(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f'id,sql\n1,"x\n2,SELECT {name}\n3,SELECT 3\n')
    corpus = entry(tmp_path, "csv", columns={"sql": "sql"}, glob="*.csv")
    report = ingest_corpus(corpus, tmp_path / "stage" / "queries.parquet")
    assert report.n_queries == 6
    assert report.rows.reading == (
        "2 rows are damaged, and their values are lost: line 2 of a.csv, line 2 of b.csv"
    )


@pytest.mark.parametrize(
    ("format", "header", "keys", "problem"),
    [
        (AUTO, "question,sql,sql", {}, r"has 2 columns called 'sql' \(columns 2, 3\); rename"),
        (AUTO, "sql,question,question", {}, r"called 'question' \(columns 2, 3\)"),
        ("csv", "sql,x,sql ", {"columns": {"sql": "sql"}}, r"called 'sql' \(columns 1, 3\)"),
        ("pg_stat_statements", "QUERY,calls,query", {}, r"called 'query' \(columns 1, 3\)"),
        ("csv", "sql,x,x", {"columns": {"sql": "sql"}}, None),
        ("csv", "sql,x,SQL", {"columns": {"sql": "sql"}}, None),
        ("pg_stat_statements", "query,x,x", {}, None),
    ],
)
def test_columns_of_one_name_are_refused_if_they_are_read(tmp_path, format, header, keys, problem):
    values = {"question": "which?", "x": "1", "calls": "2"}
    row = [values.get(name, "SELECT 1") for name in header.split(",")]
    (tmp_path / "a.csv").write_text(f"{header}\n{','.join(row)}\n")
    with pytest.raises(CorpusError, match=problem) if problem else nullcontext():
        found, _ = resolve_format(entry(tmp_path / "a.csv", format, **keys))
        ingest_corpus(found, tmp_path / "q.parquet")
        assert pq.read_table(tmp_path / "q.parquet")["sql"].to_pylist() == ["SELECT 1"]


def test_columns_of_one_name_are_refused_in_parquet(tmp_path):
    values = [pa.array(["SELECT 1"]), pa.array(["SELECT a FROM t"])]
    for names, problem in ((["sql", "sql"], r"called 'sql' \(columns 1, 2\)"), (["sql", "x"], "")):
        pq.write_table(pa.table(values, names=names), tmp_path / "a.parquet")
        with pytest.raises(CorpusError, match=problem) if problem else nullcontext():
            given = entry(tmp_path / "a.parquet", "parquet", columns={"sql": "sql"})
            ingest_corpus(given, tmp_path / "q.parquet")
