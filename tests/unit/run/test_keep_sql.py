"""``keep_sql = false``: no file of the warehouse and no message has a text of the corpus."""

import json

import duckdb
import pyarrow.parquet as pq
import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.read import matrix, ratio, rejects
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.views.highlights import find_highlights
from nl2sql_align.tasks.views.notebook import load
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.usefixtures("one_parser_process")

# "zeb" is in every place of a dump where a text of its owner may be.
QUERIES = (
    "SELECT zeb_a FROM zeb_b WHERE zeb_c = 'zeb@example.org' -- zeb",
    "SELECT zeb_a FROM zeb_d WHERE zeb_e = 'zeb'",
    'SELECT "zeb f" AS zeb_g, count(zeb_h) /* zeb */ FROM zeb_i.zeb_j',
    "SELECT count(*) FROM zeb_k GROUP BY zeb_l HAVING count(*) > 4321",
    "zeb is no SQL, zeb",
    "PRAGMA zeb_m",
    "",
)
ANSWERS = [*QUERIES[1:], "```sql\nSELECT zeb FROM zeb\n```"]
TRAIN = ["SELECT a FROM b WHERE c = 'boat'", "SELECT count(*) FROM t", "no boat, no query"]
COLUMNS = {"sql": "sql", "question": "asked", "db_id": "base", "id": "key", "part": "source"}


def write_rows(path, texts, **changes):
    rows = [
        {
            "sql": sql,
            "asked": "Which zeb?",
            "base": f"zeb {n % 3}",
            "key": f"zeb-{n}",
            "source": f"zeb source {n % 2}",
        }
        for n, sql in enumerate(texts)
    ]
    path.write_text("".join(json.dumps({**row, **changes}) + "\n" for row in rows))


def make_entries(folder, keep_sql):
    known = {"format": "jsonl", "dialect": "sqlite", "columns": COLUMNS, "keep_sql": keep_sql}
    target = {"role": "target", "path": folder / "log.jsonl"}
    answers = {"role": "predictions", "target": "log", "model": "m"}
    return [
        CorpusEntry(name="log", **target, **known | {"columns": COLUMNS | {"slice": "source"}}),
        CorpusEntry(name="answers", path=folder / "answers.jsonl", **answers, **known),
        # It is set aside, and the message of its reader may quote it.
        CorpusEntry(name="damaged", role="train", path=folder / "damaged.jsonl", **known),
        CorpusEntry(
            name="boats", role="train", format="lines", dialect="sqlite", path=folder / "boats.sql"
        ),
    ]


def find_texts(folder):
    """Return the files below a folder that have "zeb", as stored or decompressed."""
    found = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            content += str(file.read().to_pylist()) + str(file.metadata.metadata)
        elif path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as con:
                tables = con.execute(
                    "select table_name from information_schema.tables "
                    "where table_type = 'BASE TABLE'"
                ).fetchall()
                content += str([con.table(name).fetchall() for (name,) in tables])
        if "zeb" in content.lower():
            found.add(path.relative_to(folder).parts[0])
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dumps")
    write_rows(folder / "log.jsonl", QUERIES)
    write_rows(folder / "answers.jsonl", ANSWERS)
    (folder / "damaged.jsonl").write_text('{"sql": "SELECT zeb"}\n{"sql": zeb zeb, "zeb": }\n')
    (folder / "boats.sql").write_text("".join(f"{sql}\n" for sql in TRAIN))
    return folder


def run(folder, keep_sql):
    settings = JobSettings(resampling=Resampling(20))
    warehouse = Warehouse(folder / "warehouse")
    summary = run_locally(make_entries(folder, keep_sql), warehouse, settings)
    write_report(warehouse.folder)
    return warehouse, summary


def test_a_corpus_that_keeps_no_sql_leaves_templates_only(folder, capfd, tmp_path):
    warehouse, summary = run(folder, keep_sql=True)
    found = find_texts(warehouse.folder)
    assert {"alignment.duckdb", "queries", "report.html", "stages"} <= found
    counted = ["n_queries", "n_rejected", "n_cleaned", "n_distinct_queries", "n_distinct_templates"]
    counted += ["n_not_queries", "parsed_share", "n_distinct_ngrams", "n_ngrams"]
    before = load(warehouse.folder).corpora.select(counted).rows()
    measured = ["kl_alignment", "js_nats", "ngram_coverage", "template_coverage"]
    alignments = matrix(warehouse.folder).select(measured).rows()
    ratios = ratio(warehouse.folder)["alignment_ratio"].to_list()
    # The report of a warehouse with texts, for someone else.
    page = tmp_path / "page.html"
    assert invoke(["report", str(warehouse.folder), "--out", str(page), "--without-sql"]) == 0
    assert "zeb" not in page.read_text().lower()
    assert "boat'" not in page.read_text()
    assert "SELECT COUNT ( * ) FROM" in page.read_text()

    capfd.readouterr()
    for _ in range(2):  # after a run that kept the texts, and after one that did not
        warehouse, summary = run(folder, keep_sql=False)
        found = find_texts(warehouse.folder)
        assert found == set()
        assert "zeb" not in str(summary).lower()
        assert "is damaged" in summary.set_aside["damaged"]
        assert "zeb" not in "".join(capfd.readouterr()).lower()
    highlights = find_highlights(warehouse.folder)
    assert "zeb" not in str(highlights).lower()
    assert highlights.sentences
    results = load(warehouse.folder)
    assert results.corpora.select(counted).rows() == before
    kept = dict(results.corpora.select("corpus", "keeps_sql").rows())
    queries = [row for row in results.table("queries").to_dicts() if row["corpus"] == "log"]
    assert kept == {"log": False, "answers": False, "boats": True}
    assert matrix(warehouse.folder).select(measured).rows() == alignments
    assert ratio(warehouse.folder)["alignment_ratio"].to_list() == ratios
    assert [row["sql"] for row in queries] == [
        "SELECT FROM WHERE =",
        "SELECT FROM WHERE =",
        "SELECT , COUNT ( ) FROM",
        "SELECT COUNT ( * ) FROM GROUP BY HAVING COUNT ( * ) >",
        *("", "", ""),
    ]
    assert [row["db_id"] for row in queries[:4]] == [f"database {n}" for n in (1, 2, 3, 1)]
    assert [row["reject_reason"] for row in queries[4:]] == [
        "rejected: the reason is left out",
        "not a query, DML or DDL statement: its kind is left out",
        "empty",
    ]
    assert rejects(warehouse.folder, "boats")["raw_sql"].to_list() == [TRAIN[2]]
    options = ["--target", "boats", "--from", "log", "--budget", "1", "--out", str(tmp_path)]
    assert invoke(["select", str(warehouse.folder), *options]) == 2
    assert "'log' has templates only" in capfd.readouterr().err
