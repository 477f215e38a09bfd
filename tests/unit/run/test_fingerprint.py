"""Fingerprints: they have templates and no text of a log, and take its place."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.read import matrix
from nl2sql_align.tasks.run.fingerprint import fingerprint
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.run.prepare import Prepared, SetAside, prepare_corpus
from nl2sql_align.tasks.templates.fingerprints import read_fingerprint
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.usefixtures("one_parser_process")

# "zeb" is in every place of a log where a text of its owner may be, and in the names of the files.
QUERIES = (
    "SELECT zeb_a FROM zeb_b WHERE zeb_c = 'zeb@example.org' -- zeb",
    "SELECT zeb_a FROM zeb_d WHERE zeb_e = 'zeb'",
    'SELECT "zeb f" AS zeb_g, zeb_fn(zeb_h) /* zeb */ FROM zeb_i.zeb_j',
    "SELECT count(*) FROM zeb_k GROUP BY zeb_l HAVING count(*) > 4321",
    "zeb is no SQL, zeb",
    "PRAGMA zeb_m",
)
LOGS = {
    "zeb-calls.csv": "query,calls,zeb_column\n"
    + "".join('"{}",3,zeb\n'.format(sql.replace('"', '""')) for sql in QUERIES),
    "zeb-data.json": json.dumps(
        [{"query": sql, "db_id": "zeb_n", "question": "Which zeb?"} for sql in QUERIES]
    ),
    "zeb-lines.sql": "".join(f"{sql}\n" for sql in QUERIES[:4]),
    "zeb-log.log": "".join(
        f"2026-01-02 03:04:05.678 UTC [7] zeb@zeb_o LOG:  statement: {sql}\n" for sql in QUERIES
    ),
    "zeb-chats.jsonl": "".join(
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": "zeb?"},
                    {"role": "assistant", "content": f"Here zeb is:\n```sql\n{sql}\n```"},
                ]
            }
        )
        + "\n"
        for sql in QUERIES[:4]
    ),
    "zeb-slow.log": "".join(
        f"# Time: 2026-01-02T03:04:05Z\n# User@Host: zeb[zeb] @ zeb [10.0.0.1]\n"
        f"# Query_time: 1.0  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 1\nuse zeb_p;\n{sql};\n"
        for sql in QUERIES[:4]
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zeb-logs")
    for name, text in LOGS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def made(folder):
    out = folder / "all.fingerprint.parquet"
    return out, fingerprint([folder / name for name in LOGS], out, dialect="sqlite")


def texts_of(path):
    """Return all that a Parquet file contains, as stored and decompressed."""
    file = pq.ParquetFile(path)
    metadata = [file.schema, file.schema_arrow, file.metadata.metadata, file.metadata.created_by]
    return path.read_bytes().decode("latin-1") + str(file.read().to_pylist()) + str(metadata)


def test_a_fingerprint_has_templates_with_frequencies_and_nothing_else(made):
    out, written = made
    assert pq.read_table(out).to_pylist() == [
        {"template": template, "n_rows": n_rows, "n_occurrences": n_queries, "left_out": left_out}
        for template, n_rows, n_queries, left_out in (
            ("SELECT FROM WHERE =", 12, 16, None),
            ("SELECT , FUNCTION ( ) FROM", 6, 8, None),
            ("SELECT COUNT ( * ) FROM GROUP BY HAVING COUNT ( * ) >", 6, 8, None),
            (None, 3, 5, "not a query, DML or DDL statement: its kind is left out"),
            (None, 3, 5, "rejected: the reason is left out"),
        )
    ]
    manifest = written.manifest
    assert manifest == read_fingerprint(out).manifest
    assert (manifest.dialect, manifest.min_count, manifest.n_templates) == ("sqlite", 1, 3)
    assert (manifest.n_rows, manifest.n_occurrences) == (30, 42)
    assert (manifest.n_changed_templates, manifest.n_changed_occurrences) == (1, 8)
    assert sum(manifest.n_left_out.values()) == 10


def test_no_text_of_the_log_is_in_any_byte_of_it(made):
    out, _ = made
    found = texts_of(out).lower()
    assert "having" in found
    for canary in ("zeb", "example", "4321", "which", "pragma", "10.0.0.1", "messages"):
        assert canary not in found


def test_the_same_logs_give_the_same_bytes_and_rare_templates_are_left_out(folder, tmp_path):
    calls = folder / "zeb-calls.csv"
    out, again, rare = (tmp_path / f"{name}.parquet" for name in ("out", "again", "rare"))
    fingerprint([calls], out, dialect="sqlite")
    fingerprint([str(calls)], again, dialect="sqlite")
    assert out.read_bytes() == again.read_bytes()
    manifest = fingerprint([calls], rare, min_count=4, dialect="sqlite").manifest
    assert [
        (line["template"], line["n_occurrences"]) for line in pq.read_table(rare).to_pylist()
    ] == [
        ("SELECT FROM WHERE =", 6),
        (None, 6),
        (None, 3),
        (None, 3),
    ]
    assert manifest.n_left_out["left out by min-count: its template is rare"] == 6
    assert manifest.n_occurrences == 18
    assert manifest.describe_gaps()[0] == (
        "6 of 18 queries are left out, as their templates have fewer than 4 queries each"
    )


# ---- in the place of the log ---------------------------------------------------------------------


MEASURES = (
    *("kl_nats", "reverse_kl_nats", "kl_alignment", "additive_kl_nats", "js_nats"),
    *("ngram_coverage", "template_coverage", "source_parsed_share", "target_parsed_share"),
)


def test_alignments_equal_those_of_the_log_bit_for_bit(tmp_path):
    queries = ["SELECT a FROM b"] * 5 + [
        "SELECT max(a), b FROM c JOIN d USING (e)",
        "zeb",
        "VACUUM",
    ]
    queries += ["VACUUM"]
    queries += [f"SELECT a FROM b WHERE c = {n} ORDER BY d" for n in range(1203)]
    theirs = ["SELECT a FROM b WHERE c = 1 AND d > 2", "SELECT a FROM b", "SELECT count(*) FROM t"]
    for name, texts in (("log", queries), ("theirs", theirs)):
        (tmp_path / f"{name}.sql").write_text("".join(f"{sql}\n" for sql in texts))
    fingerprint([tmp_path / "log.sql"], tmp_path / "file.parquet", dialect="sqlite")
    entries = [
        CorpusEntry(name=name, role="target", format=format, path=tmp_path / path, dialect="sqlite")
        for name, format, path in (
            ("log", "lines", "log.sql"),
            ("file", "auto", "file.parquet"),
            ("theirs", "lines", "theirs.sql"),
        )
    ]
    warehouse = Warehouse(tmp_path / "warehouse")
    summary = run_locally(entries, warehouse, JobSettings(resampling=Resampling(0)))
    assert summary.set_aside == {}
    pairs = {(row["source"], row["target"]): row for row in matrix(warehouse.folder).to_dicts()}
    for log, file in (
        (("log", "theirs"), ("file", "theirs")),
        (("theirs", "log"), ("theirs", "file")),
    ):
        assert [pairs[log][name] for name in MEASURES] == [pairs[file][name] for name in MEASURES]
        assert pairs[log]["exact_overlap"] is not None
        assert pairs[file]["exact_overlap"] is None  # texts are unknown, not different
    assert pairs["log", "file"]["kl_nats"] == 0
    with open_results(warehouse.folder) as con:
        corpora = {row["corpus"]: row for row in con.table("corpora").pl().to_dicts()}
    for name in ("n_queries", "n_templated", "n_not_queries", "n_distinct_ngrams", "n_ngrams"):
        assert corpora["log"][name] == corpora["file"][name] > 0, name
    assert corpora["file"]["n_rows"] == 5 + 1 + 1000 + 2
    # Readers of results take an unknown overlap.
    assert invoke(["matrix", str(warehouse.folder), "--metric", "exact_overlap"]) == 0
    picture = str(tmp_path / "overlap.svg")
    command = ["plot", "matrix", str(warehouse.folder), "-o", picture]
    assert invoke([*command, "--metric", "exact_overlap"]) == 0
    write_report(warehouse.folder)
    options = [
        "--target",
        "theirs",
        "--from",
        "file",
        "--budget",
        "1",
        "--out",
        str(tmp_path / "x"),
    ]
    assert invoke(["select", str(warehouse.folder), *options]) == 2


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    warehouse = Warehouse(tmp_path_factory.mktemp("warehouse"))
    warehouse.scratch.mkdir(parents=True)
    return warehouse


def prepare(path, warehouse, **keys):
    given = {"name": "shop", "role": "target", "format": "fingerprint", "path": path}
    return prepare_corpus(CorpusEntry(**{**given, **keys}), warehouse)


def test_notes_say_what_a_fingerprint_lacks(made, warehouse):
    prepared = prepare(made[0], warehouse)
    assert isinstance(prepared, Prepared)
    assert prepared.entry.dialect == "sqlite"
    assert prepared.notes == (
        "shop: 8 of 42 queries have FUNCTION for functions that dialect 'sqlite' does not know",
    )


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"dialect": "mysql"}, "is a fingerprint of dialect 'sqlite', not 'mysql'; remove dialect"),
        ({"kinds": ("query",)}, "whose templates exist already; remove clean, statements and"),
        (
            {"role": "predictions", "target": "a", "model": "b"},
            "which cannot say which question an answer is for",
        ),
    ],
)
def test_settings_that_cannot_apply_are_refused(made, warehouse, keys, reason):
    outcome = prepare(made[0], warehouse, **keys)
    assert isinstance(outcome, SetAside)
    assert reason in outcome.reason


def change_manifest(path, out, **changes):
    table = pq.read_table(path)
    [(key, text)] = table.schema.metadata.items()
    metadata = {key: json.dumps({**json.loads(text), **changes})}
    pq.write_table(table.replace_schema_metadata(metadata), out)
    return out


def test_templates_by_other_rules_are_refused_and_another_parser_is_noted(
    made, warehouse, tmp_path
):
    older = change_manifest(made[0], tmp_path / "older.parquet", template_rules=1)
    outcome = prepare(older, warehouse)
    assert isinstance(outcome, SetAside)
    assert "has templates by version 1 of their rules" in outcome.reason
    other = change_manifest(made[0], tmp_path / "other.parquet", parser="sqlglot 1.0")
    gaps = read_fingerprint(other).manifest.describe_gaps()
    assert gaps[-1].startswith("it was made with sqlglot 1.0, and other corpora with sqlglot ")


def test_other_files_are_refused(made, warehouse, tmp_path):
    more = tmp_path / "more.parquet"
    table = pq.read_table(made[0])
    pq.write_table(table.append_column("note", pa.array(["x"] * len(table))), more)
    for path in (more, tmp_path / "missing.parquet", Path(__file__)):
        with pytest.raises(ConfigurationError, match="is not a fingerprint"):
            read_fingerprint(path)
    assert isinstance(prepare(more, warehouse), SetAside)


# ---- commands ------------------------------------------------------------------------------------


def test_what_cannot_be_written_is_refused(made, folder, tmp_path):
    log = folder / "zeb-lines.sql"
    text = log.read_bytes()
    with pytest.raises(ConfigurationError, match="is one of the logs; name another file"):
        fingerprint([log], log)
    assert log.read_bytes() == text
    with pytest.raises(CorpusError, match="does not exist"):
        fingerprint([tmp_path / "missing.sql"], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    with pytest.raises(ConfigurationError, match="is a fingerprint already; name logs"):
        fingerprint([made[0]], tmp_path / "out.parquet")


def test_show_prints_every_line(made, capsys):
    assert invoke(["show", str(made[0])]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^ +16 +12  SELECT FROM WHERE =$", shown, re.MULTILINE)
    assert re.search(r"^ +5 +3  \(rejected: the reason is left out\)$", shown, re.MULTILINE)
    assert "dialect: sqlite" in shown
    assert invoke(["show", str(made[0]), "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["lines"]) == 5
    assert invoke(["show", str(made[0]), "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "SELECT FROM WHERE =,12,16,"
    assert invoke(["show", __file__]) == 2
