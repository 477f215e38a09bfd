"""The published database: its contents, and how it replaces the one before."""

import itertools
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.base.run_sql import query_sql
from nl2sql_align.tasks.results.changes import find_changes
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.packed_queries import PackLimits, find_packed, pack_queries
from nl2sql_align.tasks.results.publish import DRIFT_THRESHOLD, RunRecord, fill_database, publish
from nl2sql_align.tasks.results.record import relocate
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.part_files import list_parts
from tests import reference

# Specification, section 8.
COLUMNS = {
    "corpora": "corpus role format dialect path digest license model trained_on target n_queries "
    "n_templated n_rejected n_distinct_templates n_distinct_ngrams n_ngrams ingested_at",
    "queries": "corpus ordinal sql raw_sql db_id question n_occurrences template_id reject_reason "
    "id question_ordinal",
    "templates": "template_id template n_tokens",
    "ngram_counts": "corpus ngram ngram_length n_occurrences",
    "alignment": "source target kl_nats reverse_kl_nats kl_alignment additive_kl_nats "
    "additive_kl_alignment js_nats js_alignment ngram_coverage template_coverage exact_overlap",
    "alignment_ratio": "train target model predictions trained_on train_alignment "
    "predictions_alignment predictions_parsed_share alignment_ratio ci_low ci_high verdict "
    "n_answered doubts",
    "alignment_by_slice": "train target slice n_queries n_templated train_alignment reach model "
    "predictions predictions_alignment alignment_ratio reach_ratio doubts",
    "tuning_effect": "model trained_on target predictions_before predictions_after "
    "alignment_before alignment_after js_before js_after",
    "ngram_contributions": "source target direction rank ngram source_probability "
    "target_probability contribution_nats example_sql",
    "structural_features": "corpus feature n_queries share mean example_ordinal",
    "answer_errors": "predictions target kind feature n_answers share",
    "headroom_ratio": "train target predictions headroom_ratio seed run_id",
    "calibration": "outcomes outcomes_digest model predictions train metric gain run_id",
    "calibration_summary": "outcomes metric outcome_case measure spearman pearson cut run_id",
    "calibration_parts": "outcomes train target train_rows alignment_mean run_id",
    "alignment_intervals": "source target kl_alignment ci_low ci_high",
    "ceilings": "target ceiling half_alignment half_low half_high",
    "sample_size": "target smoothing n_queries kendall_tau same_winner_share seed run_id",
    "selections": "selection target method budget source license n_taken_from_source kl_alignment "
    "run_id",
    "selection_curves": "selection target method n_rows kl_alignment random_alignment run_id",
    "mixtures": "mixture target source row_weight row_weight_low row_weight_high run_id",
    "gaps": "source target rank template structure n_rows kl_alignment n_in_pool run_id",
    "runs": "run_id started_at finished_at parameters versions",
    "alignment_history": "run_id run_number started_at source target kl_alignment is_drift",
    "alignment_ratio_history": "run_id train target predictions alignment_ratio is_verdict_changed",
    "alignment_change": "source target kl_alignment previous_kl_alignment change run_id",
    "alignment_ratio_change": "train predictions alignment_ratio change verdict run_id",
}

TRAIN_DATABASES = ["one", "one", None, "two"]
TRAIN = ["SELECT FROM", "SELECT FROM WHERE =", "SELECT FROM WHERE =", None]
DEV = ["SELECT FROM", "SELECT COUNT ( * ) FROM GROUP BY ORDER BY"]
BASE = ["SELECT FROM", None]
TUNED = ["SELECT FROM", "SELECT COUNT ( * ) FROM"]
OTHER = ["DELETE FROM", "REORDER BY", "ORDER BY GROUP BY"]


# A folder whose name has characters that are special in SQL strings and file patterns.
FOLDER = "it's [1] *"


@pytest.fixture
def warehouse(tmp_path):
    return Warehouse(tmp_path / FOLDER)


@pytest.fixture
def run(warehouse, make_corpus):
    """Return a function that publishes corpora, given by name, queries and keys."""
    return runner(warehouse, make_corpus)


@pytest.fixture(scope="module")
def published(tmp_path_factory, make_corpus):
    """A warehouse with results, for tests that only read them."""
    warehouse = Warehouse(tmp_path_factory.mktemp("published") / FOLDER)
    run = runner(warehouse, make_corpus, has_comments=True)
    return warehouse, run(*ALL, OTHER_CORPUS)


def runner(warehouse, make_corpus, *, has_comments=False):
    """Return a function that publishes corpora.

    Without comments on its columns, a database is filled before it is published, as that of a run
    is. Comments take half of the time.
    """
    started_at = datetime(2026, 1, 1, tzinfo=UTC)
    numbers = itertools.count(1)
    made = {}

    def make(name, some, keys):
        corpus = made.get(text := repr((name, some, keys)))
        if corpus is None or not corpus.ngrams.exists():
            corpus = made[text] = make_corpus(warehouse.folder, name, some, **keys)
        return corpus

    def run(*given, limits=None, **record):
        corpora = [make(*one) for one in given]
        matrix = make_corpus.measure_pairs(corpora, warehouse.folder / "stages" / "pairs")
        number = next(numbers)
        at = started_at + timedelta(hours=number)
        run_record = replace(
            RunRecord(f"run-{number}", at, {"skew": 0.01}, {"duckdb": "2"}), **record
        )
        limits = limits or {}
        filled = None
        if not has_comments:
            versions = run_record.versions
            filled = fill_database(warehouse, corpora, versions, **limits, has_comments=False)
        given = (corpora, matrix.pairs, matrix.contributions, run_record)
        publish(warehouse, *given, filled=filled, **limits)
        assert filled is None or not filled.exists()
        return corpora

    return run


TRAIN_CORPUS = ("train", TRAIN, {"license": "MIT", "db_ids": TRAIN_DATABASES})
DEV_CORPUS = ("dev", DEV, {"role": "target"})
BASE_CORPUS = ("base", BASE, {"role": "predictions", "target": "dev"})
TUNED_CORPUS = ("tuned", TUNED, {"role": "predictions", "target": "dev", "trained_on": "train"})
ALL = (TRAIN_CORPUS, DEV_CORPUS, BASE_CORPUS, TUNED_CORPUS)
OTHER_CORPUS = ("other", OTHER, {})
QUERIES = {name: queries for name, queries, _ in (*ALL, OTHER_CORPUS)}


@contextmanager
def reading(warehouse):
    """Open the published database without the checks of readers, which take longer than most reads.

    In a database of its own, since DuckDB would return a file that the process still has open.
    """
    with duckdb.connect() as con:
        database = str(warehouse.database).replace("'", "''")
        con.execute(f"attach '{database}' as results (read_only)")
        con.execute("use results")
        yield con


def rows(warehouse, query):
    with reading(warehouse) as con:
        return con.sql(query).fetchall()


def dicts(warehouse, query):
    with reading(warehouse) as con:
        return con.sql(query).to_arrow_table().to_pylist()


def templated(queries):
    kept = [template for template in queries if template is not None]
    return reference.Corpus(kept, kept)


def test_every_public_table_has_the_columns_of_the_specification(published):
    warehouse, _ = published
    found = rows(
        warehouse, "select table_name, column_name from duckdb_columns() where not internal"
    )
    for table, columns in COLUMNS.items():
        assert set(columns.split()) <= {column for name, column in found if name == table}, table
    assert {name for name, _ in found} == COLUMNS.keys()


def test_every_table_and_column_has_a_comment(published):
    warehouse, _ = published
    uncommented = rows(
        warehouse,
        """
        with described as (
            select table_name, column_name, comment, internal from duckdb_columns()
            union all select table_name, null, comment, internal from duckdb_tables()
            union all select view_name, null, comment, internal from duckdb_views()
        )
        select table_name, column_name from described where comment is null and not internal
        """,
    )
    assert uncommented == []


def test_tables_can_be_without_comments(tmp_path, make_corpus):
    corpus = make_corpus(tmp_path, "train", TRAIN)
    filled = fill_database(Warehouse(tmp_path), [corpus], {}, has_comments=False)
    with duckdb.connect(filled, read_only=True) as con:
        assert con.execute("select corpus from corpora").fetchall() == [("train",)]
        comments = (
            "select count(*) from duckdb_columns() where table_name = 'corpora' and comment > ''"
        )
        assert con.execute(comments).fetchall() == [(0,)]


def test_any_client_since_duckdb_1_4_can_open_the_file(published):
    warehouse, _ = published
    with duckdb.connect(str(warehouse.database), read_only=True) as con:
        [(tags,)] = con.sql(
            "select tags from duckdb_databases() where database_name = 'alignment'"
        ).fetchall()
    assert tags == {"storage_version": "v1.4.0+"}


def test_a_small_database_is_a_small_file(warehouse, run):
    run(*ALL)
    assert warehouse.database.stat().st_size < 1_000_000
    assert warehouse.backup_file.stat().st_size < 500_000


def test_nothing_but_the_database_is_left_beside_it(warehouse, run):
    run(*ALL)
    run(*ALL)
    assert sorted(path.name for path in warehouse.folder.iterdir()) == [
        "alignment.duckdb",
        "ngrams",
        "queries",
        "stages",
    ]
    assert {path.suffix for path in warehouse.ngrams.iterdir()} == {".parquet"}


def test_corpora_are_counted(published):
    warehouse, corpora = published
    train = corpora[0]
    [row] = dicts(warehouse, "from corpora where corpus = 'train'")
    counts = reference.ngram_counts(templated(TRAIN).templates)
    assert row.pop("ingested_at") is not None
    assert row == {
        "corpus": "train",
        "role": "train",
        "format": "lines",
        "dialect": "sqlite",
        "path": str(train.entry.path),
        "digest": train.digest,
        "license": "MIT",
        "model": None,
        "trained_on": None,
        "target": None,
        "n_queries": 4,
        "n_templated": 3,
        "n_rejected": 1,
        "n_distinct_queries": 3,
        "n_distinct_templates": 2,
        "n_distinct_ngrams": len(counts),
        "n_ngrams": counts.total(),
        "is_set_aside": False,
        "ngrams_file": str(train.ngrams),
        "templates_file": str(train.templates),
        "queries_file": str(find_packed(train, warehouse)),
        "n_rows": 4,
        "n_cleaned": 0,
        "cleaning": "none",
        "encoding": "utf-8",
        "n_replaced_characters": 0,
        "retired_at": None,
        "reject_reasons": '{"does not parse":1}',
        "question_weight": 1,
        "cleaned_by": "{}",
        "n_not_queries": 0,
        "parsed_share": 0.75,
        "keeps_sql": True,
    }
    assert rows(warehouse, "select corpus from corpora") == [(name,) for name in QUERIES]


def test_queries_have_their_order_and_template_or_reason(published):
    warehouse, _ = published
    found = rows(
        warehouse,
        """
        select ordinal, sql, raw_sql, db_id, n_occurrences, template, reject_reason
        from queries left join templates using (template_id) where corpus = 'train'
        """,
    )
    assert sorted(found) == [
        (i, f"-- {template}", f"-- {template}", db_id, 1, template, reason)
        for i, (template, db_id, reason) in enumerate(
            zip(TRAIN, TRAIN_DATABASES, [*[None] * 3, "does not parse"], strict=True)
        )
    ]


def test_each_template_is_one_row_with_its_length(published):
    warehouse, _ = published
    found = dict(rows(warehouse, "select template, n_tokens from templates"))
    wanted = {template for queries in QUERIES.values() for template in queries if template}
    assert found == {template: len(reference.tokens_of(template)) for template in wanted}
    assert rows(warehouse, "select count(*) from templates") == [(len(wanted),)]
    assert rows(warehouse, "select template_id = md5(template) from templates group by all") == [
        (True,)
    ]


def test_the_view_has_the_counts_of_all_corpora(published):
    warehouse, _ = published
    found = rows(warehouse, "select corpus, ngram, n_occurrences from ngram_counts")
    assert {(corpus, ngram): count for corpus, ngram, count in found} == {
        (name, ngram): count
        for name, queries in QUERIES.items()
        for ngram, count in reference.ngram_counts(templated(queries).templates).items()
    }


def test_every_pair_of_corpora_has_its_measures(published):
    warehouse, _ = published
    found = dicts(warehouse, "from alignment")
    queries = {name: templated(some) for name, some in QUERIES.items()}
    names = list(queries)
    pairs = [(row.pop("source"), row.pop("target")) for row in found]
    assert pairs == [(source, target) for source in names for target in names]
    shares = {
        name: sum(template is not None for template in some) / len(some)
        for name, some in QUERIES.items()
    }
    for (source, target), row in zip(pairs, found, strict=True):
        assert row.pop("source_parsed_share") == shares[source]
        assert row.pop("target_parsed_share") == shares[target]
        assert row.pop("is_unevenly_parsed") == (abs(shares[source] - shares[target]) > 0.1)
        is_judged = (source, target) in {("train", "dev"), ("other", "dev")}
        assert bool(row.pop("doubts")) == is_judged
        assert row == pytest.approx(reference.measures(queries[source], queries[target]))
    assert len(set(shares.values())) > 1


def test_a_frequency_counts_as_repeated_occurrences(tmp_path, make_corpus):
    """A log with frequencies gives the same numbers as a log that repeats its queries."""
    templates = ["SELECT * FROM", "SELECT FROM WHERE = ORDER BY", None]
    frequencies = [5, 1, 3]
    repeated = [t for t, n in zip(templates, frequencies, strict=True) for _ in range(n)]
    found = []
    for name, queries, keys in (
        ("weighed", templates, {"frequencies": frequencies}),
        ("repeated", repeated, {}),
    ):
        warehouse = Warehouse(tmp_path / name)
        runner(warehouse, make_corpus)(
            ("log", queries, {"role": "target", **keys}),
            ("other", ["SELECT * FROM", "SELECT COUNT ( )"], {}),
        )
        counts = "n_queries, n_templated, n_rejected, n_distinct_queries, n_ngrams"
        found.append(
            [
                rows(warehouse, f"select {counts} from corpora"),
                rows(warehouse, "from alignment"),
                rows(
                    warehouse,
                    "select ngram, n_occurrences from ngram_counts order by corpus, ngram",
                ),
                rows(
                    warehouse,
                    "select sum(n_occurrences) from queries group by template_id order by 1",
                ),
            ]
        )
        n_rows = len(queries)
        assert rows(warehouse, "select n_rows from corpora where corpus = 'log'") == [(n_rows,)]
    assert found[0] == found[1]
    assert found[0][0][0][:3] == (9, 6, 3)


def test_corpora_of_equal_content_have_rows_of_their_own(warehouse, run):
    run(DEV_CORPUS, ("copy", DEV, {}), TRAIN_CORPUS)
    found = {
        (s, t): kl for s, t, kl in rows(warehouse, "select source, target, kl_nats from alignment")
    }
    assert len(found) == 9
    assert found["copy", "dev"] == found["dev", "copy"] == found["copy", "copy"] == 0
    assert found["copy", "train"] == found["dev", "train"] > 0
    assert rows(
        warehouse, "select distinct source, target from ngram_contributions order by all"
    ) == [("train", "dev")]


def test_each_training_set_has_a_ratio_for_each_set_of_predictions(published):
    warehouse, _ = published
    queries = {name: templated(some) for name, some in QUERIES.items()}
    found = dicts(warehouse, "from alignment_ratio")
    copied = {
        "base": [
            "base may be the reference queries: 100.0% of the answers are texts of dev",
        ]
    }
    assert {(row["train"], row["predictions"]) for row in found} == {
        (train, predictions) for train in ("train", "other") for predictions in ("base", "tuned")
    }
    for row in found:
        train, predictions = row["train"], row["predictions"]
        assert row["target"] == "dev"
        assert row["model"] == "model"
        assert row["trained_on"] == {"base": None, "tuned": "train"}[predictions]
        assert row["predictions_parsed_share"] == {"base": 0.5, "tuned": 1.0}[predictions]
        assert row["alignment_ratio"] == row["train_alignment"] / row["predictions_alignment"]
        assert row["doubts"] == [
            *(["train contains 50.0% of the queries of dev"] if train == "train" else []),
            "only 2 queries of dev can be compared",
            *(["only 75.0% of train parses"] if train == "train" else []),
            *(["only 50.0% of base parses"] if predictions == "base" else []),
            *copied.get(predictions, []),
        ]
        assert row["alignment_ratio"] == pytest.approx(
            reference.alignment_ratio(queries[train], queries[predictions], queries["dev"])
        )


def test_the_closest_training_set_is_doubted_if_js_alignment_has_another(warehouse, run):
    asked = ["SELECT FROM", "SELECT COUNT ( * ) FROM GROUP BY", "SELECT DISTINCT FROM ORDER BY"]
    wide = [*asked, "SELECT MAX ( ) FROM WHERE =", "DELETE FROM WHERE IN ( )"]
    run(
        ("wide", wide, {}),
        ("narrow", asked[:1], {}),
        ("dev", asked, {"role": "target"}),
        ("base", asked[:1], {"role": "predictions", "target": "dev"}),
    )
    doubts = "list_filter(doubts, lambda doubt: starts_with(doubt, 'by JS'))"
    [closest, other] = rows(
        warehouse,
        f"select source, kl_alignment, js_alignment, {doubts} from alignment "
        "where source in ('wide', 'narrow') and target = 'dev' order by kl_alignment desc",
    )
    doubt = (
        f"by JS alignment, wide is closer to dev than narrow ({other[2]:.4f} and {closest[2]:.4f})"
    )
    assert (closest[0], closest[3]) == ("narrow", [doubt])
    assert (other[0], other[3]) == ("wide", [])
    assert other[2] > closest[2]
    assert rows(
        warehouse,
        f"select train, train_alignment, train_js_alignment, {doubts} from alignment_ratio",
    ) == [closest, other]
    [(predictions,)] = rows(
        warehouse, "select distinct predictions_js_alignment from alignment_ratio"
    )
    assert predictions == closest[2]


def test_the_share_of_right_templates_counts_answers_to_questions_with_a_template(warehouse, run):
    asked = [("a", "SELECT FROM"), ("b", "DELETE FROM"), ("c", None), ("a", "SELECT FROM")]
    answers = [("x", "SELECT FROM"), ("x", "SELECT FROM"), ("x", "SELECT FROM"), ("y", None)]
    of_asked = {"role": "predictions", "target": "asked"}
    wrong = [("z", "DELETE FROM"), ("x", "SELECT FROM"), ("x", "SELECT FROM"), ("y", None)]
    run(
        ("asked", asked, {"role": "target"}),
        ("base", answers, of_asked),
        ("fewer", answers[:3], of_asked),
        ("wrong", wrong, of_asked),
    )
    with open_results(warehouse.folder) as con:
        shares = dict(query_sql(con, "results/publish/right_shares").fetchall())
    assert shares == {"base": pytest.approx(1 / 3), "wrong": 0}


def test_tuning_effects_compare_the_same_model_and_target(warehouse, run):
    other = ("dev-2", DEV[:1], {"role": "target"})
    other_target = ("base-2", BASE, {"role": "predictions", "target": "dev-2"})
    other_model = ("base-3", BASE, {"role": "predictions", "target": "dev", "model": "another"})
    run(*ALL, other, other_target, other_model)
    [row] = dicts(warehouse, "from tuning_effect")
    before, after = (
        reference.measures(templated(queries), templated(DEV)) for queries in (BASE, TUNED)
    )
    assert row == {
        "model": "model",
        "trained_on": "train",
        "target": "dev",
        "predictions_before": "base",
        "predictions_after": "tuned",
        "alignment_before": pytest.approx(before["kl_alignment"]),
        "alignment_after": pytest.approx(after["kl_alignment"]),
        "js_before": pytest.approx(before["js_nats"]),
        "js_after": pytest.approx(after["js_nats"]),
    }


def test_contributions_have_a_query_of_the_corpus_with_the_larger_share(published):
    warehouse, _ = published
    found = rows(
        warehouse,
        """
        select direction, rank, ngram, example_sql from ngram_contributions
        where source = 'train' and target = 'dev'
        """,
    )
    assert ("over", 1) in {(direction, rank) for direction, rank, _, _ in found}
    for direction, _, ngram, sql in found:
        queries = TRAIN if direction == "over" else DEV
        assert ngram in set(reference.ngrams_of(sql.removeprefix("-- ")))
        assert sql.removeprefix("-- ") in queries
    assert rows(warehouse, "select distinct target from ngram_contributions") == [("dev",)]


def test_contributions_are_the_same_by_ranges_of_sources(published, warehouse, run, monkeypatch):
    monkeypatch.setattr("nl2sql_align.tasks.results.publish._CONTRIBUTIONS_AT_A_TIME", 1)
    run(*ALL, OTHER_CORPUS)
    found, expected = (
        rows(place, "from ngram_contributions order by rowid")
        for place in (warehouse, published[0])
    )
    assert found == expected
    assert len({source for source, *_ in found}) == 4


def test_a_corpus_without_ngrams_is_set_aside(warehouse, run):
    empty = ("empty", [None, "*"], {"role": "target"})
    nothing = ("nothing", [None], {"role": "predictions", "target": "dev"})
    run(*ALL, empty, nothing)
    aside = rows(warehouse, "select corpus, n_queries, n_ngrams from corpora where is_set_aside")
    assert aside == [("empty", 2, 0), ("nothing", 1, 0)]
    for table, columns in (
        ("alignment", "source target"),
        ("alignment_ratio", "train target predictions"),
        ("ngram_contributions", "source target"),
    ):
        for column in columns.split():
            assert (
                rows(warehouse, f"select 1 from {table} where {column} in ('empty', 'nothing')")
                == []
            )
    assert rows(warehouse, "select count(*) from queries where corpus in ('empty', 'nothing')") == [
        (3,)
    ]


def test_every_number_is_finite(warehouse, run):
    run(*ALL, ("empty", [None], {"role": "target"}))
    for table in ("alignment", "alignment_ratio", "tuning_effect", "ngram_contributions"):
        for row in dicts(warehouse, f"from {table}"):
            for value in row.values():
                assert not isinstance(value, float) or abs(value) < float("inf")


REDUCED_CORPUS = ("train", TRAIN[:2], {"license": "GPL"})
DEV_AS_TRAIN = ("dev", DEV, {"role": "train"})
OTHER_AS_TARGET = ("other", OTHER, {"role": "target"})
COPY = ("copy", TRAIN, {"role": "target", "db_ids": TRAIN_DATABASES})


@pytest.mark.parametrize(
    "runs",
    [
        [ALL, (*ALL, OTHER_CORPUS)],
        [(*ALL, OTHER_CORPUS), (OTHER_CORPUS, *ALL[:2])],
        [(*ALL, OTHER_CORPUS), (REDUCED_CORPUS, *ALL[1:], COPY), (*ALL, OTHER_AS_TARGET)],
        [(TRAIN_CORPUS, DEV_AS_TRAIN, OTHER_CORPUS), (OTHER_AS_TARGET, DEV_CORPUS, TRAIN_CORPUS)],
    ],
    ids=["added", "removed", "changed and back", "other roles"],
)
def test_a_changed_database_holds_the_same_as_a_new_one(tmp_path, make_corpus, runs):
    def publish_all(runs, *, has_comments=False, **limits):
        warehouse = Warehouse(tmp_path / FOLDER)
        run = runner(warehouse, make_corpus, has_comments=has_comments)
        for given in runs:
            run(*given, limits=limits)
        # A new database has no history.
        results = [table for table in COLUMNS if not table.endswith(("_history", "_change"))]
        with open_results(warehouse.folder) as con:
            contents = {
                table: con.sql(contents_of(table)).to_arrow_table().to_pylist() for table in results
            }
        shutil.rmtree(warehouse.folder)
        return contents

    new = publish_all(runs[-1:], has_comments=True)
    always_changed = publish_all(runs, known_share=0)
    assert always_changed == new
    changed_if_mostly_known_else_filled_before = publish_all(runs, known_share=0.8)
    assert changed_if_mostly_known_else_filled_before == new


def contents_of(table):
    """Return a query of a table without the columns that differ from run to run."""
    if table == "runs":
        return "select corpora_digests, results_key from runs order by rowid desc limit 1"
    if table == "corpora":
        return "select row_number() over (order by rowid), * exclude ingested_at from corpora"
    return f"from {table} order by all"


@pytest.mark.parametrize("is_changed", [True, False], ids=["new results", "the same results"])
def test_runs_accumulate(warehouse, run, is_changed):
    run(DEV_CORPUS, set_aside={"lost": 'is not there; "quoted"'})
    run(DEV_CORPUS, *([TRAIN_CORPUS] if is_changed else []))
    run(DEV_CORPUS)
    found = dicts(warehouse, "from runs")
    assert [row["run_id"] for row in found] == ["run-1", "run-2", "run-3"]
    assert rows(warehouse, "select set_aside->>'lost' from runs limit 1") == [
        ('is not there; "quoted"',)
    ]
    assert rows(warehouse, "select distinct (parameters->'skew')::double from runs") == [(0.01,)]
    assert rows(warehouse, "select distinct versions->>'duckdb' from runs") == [("2",)]
    assert len({row["results_key"] for row in found}) == 1 + is_changed
    assert all(row["started_at"] < row["finished_at"] for row in found)


def test_a_corpus_on_a_store_is_published_with_its_address(warehouse, run):
    run(("far", TRAIN, {"path": "s3://dumps/far.sql"}))
    assert rows(warehouse, "select path from corpora") == [("s3://dumps/far.sql",)]


@pytest.mark.parametrize("is_changed", [True, False], ids=["new results", "the same results"])
def test_a_reader_keeps_the_results_that_it_has_open(warehouse, run, is_changed):
    run(TRAIN_CORPUS, DEV_CORPUS)
    # A connection with the settings of another program.
    with duckdb.connect(str(warehouse.database), read_only=True) as reader:
        reader.sql("from corpora").fetchall()
        run(*([] if is_changed else [TRAIN_CORPUS]), DEV_CORPUS)
        assert reader.sql("select corpus from corpora").fetchall() == [("train",), ("dev",)]
        assert len(reader.sql("select distinct corpus from ngram_counts").fetchall()) == 2
        assert reader.sql("select count(*) from runs").fetchall() == [(1,)]
        # New connections get the new database, in the same process too.
        assert rows(warehouse, "select count(*) from runs") == [(2,)]
        assert rows(warehouse, "select count(*) from corpora") == [(1 if is_changed else 2,)]


def test_runs_are_kept_while_a_reader_has_results_open(warehouse, run):
    run(TRAIN_CORPUS, DEV_CORPUS)
    with (
        duckdb.connect(str(warehouse.database), read_only=True) as other,
        open_results(warehouse.folder) as reader,
    ):
        run(DEV_CORPUS)
        run(TRAIN_CORPUS)
        assert other.sql("select count(*) from runs").fetchall() == [(1,)]
        assert reader.sql("select count(*) from runs").fetchall() == [(1,)]
    assert rows(warehouse, "select run_id from runs") == [("run-1",), ("run-2",), ("run-3",)]


def test_counts_are_removed_one_run_after_the_last_database_that_names_them(warehouse, run):
    [train, dev] = run(TRAIN_CORPUS, DEV_CORPUS)
    run(DEV_CORPUS)
    assert train.ngrams.exists()
    run(DEV_CORPUS)
    assert not train.ngrams.exists()
    assert dev.ngrams.exists()
    [changed] = run(("dev", DEV[:1], {"role": "target"}))
    assert dev.ngrams.exists()
    assert changed.ngrams.exists()


def test_the_queries_of_a_large_corpus_are_published_from_a_folder(
    warehouse, make_corpus, run, tmp_path
):
    [train] = run(TRAIN_CORPUS)
    query = "select * from queries order by corpus, ordinal"
    before = rows(warehouse, query)
    whole = find_packed(train, warehouse)
    whole.unlink()
    pq.write_table(pq.read_table(train.queries), train.queries, row_group_size=1)
    folder = pack_queries(train, warehouse, PackLimits(rows_per_part=1))
    assert folder == whole.with_suffix("") and len(list_parts(folder)) == len(TRAIN)
    run(TRAIN_CORPUS, DEV_CORPUS)
    of_train = rows(warehouse, query.replace("order", "where corpus = 'train' order"))
    assert of_train == before
    named = rows(warehouse, "select queries_file from corpora order by corpus desc")
    assert named[0] == (str(folder),)
    moved = Warehouse(warehouse.folder.rename(tmp_path / "moved"))
    assert relocate(moved.folder) == len(TRAIN) + 3
    with duckdb.connect(str(moved.database), read_only=True) as con:
        assert con.sql("select count(*) from queries").fetchall() == [(len(TRAIN) + len(DEV),)]


def test_a_failure_leaves_the_old_results_and_nothing_else(warehouse, run):
    run(TRAIN_CORPUS)
    before = warehouse.database.read_bytes()
    with pytest.raises(TypeError, match="not JSON serializable"):
        run(DEV_CORPUS, parameters={"not": b"JSON"})  # found as the last rows are written
    assert warehouse.database.read_bytes() == before
    assert sorted(path.name for path in warehouse.folder.iterdir()) == [
        "alignment.duckdb",
        "ngrams",
        "queries",
        "stages",
    ]


@pytest.mark.parametrize("content", [b"", b"this is not a database" * 1000])
def test_a_damaged_database_is_replaced(warehouse, run, content):
    warehouse.folder.mkdir(parents=True)
    warehouse.database.write_bytes(content)
    run(DEV_CORPUS)
    assert rows(warehouse, "select corpus from corpora") == [("dev",)]


def test_a_database_of_other_tables_is_replaced(warehouse, run):
    warehouse.folder.mkdir(parents=True)
    with duckdb.connect(str(warehouse.database)) as con:
        con.execute("create table runs as select 1 as started_at, 2 as finished_at")
        con.execute("create table corpora as select 'x' as ngrams_file")
    run(DEV_CORPUS)
    assert rows(warehouse, "select run_id from runs") == [("run-1",)]


def test_a_database_that_is_open_for_writing_elsewhere_is_not_replaced(warehouse, run):
    run(DEV_CORPUS)
    code = (
        "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(warehouse.database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(WarehouseError, match="is open for writing in another process; close"):
            run(DEV_CORPUS)
        with pytest.raises(WarehouseError, match=r"cannot be read \(.*\); close it there$"):
            open_results(warehouse.folder)
        holder.communicate("\n")
    run(DEV_CORPUS)
    assert rows(warehouse, "select count(*) from runs") == [(2,)]


def test_the_database_names_the_files_of_counts(published):
    warehouse, corpora = published
    for corpus in corpora:
        metadata = pq.read_schema(corpus.ngrams).metadata
        assert metadata[b"corpus"].decode() == corpus.entry.name
    named = {name for (name,) in rows(warehouse, "select ngrams_file from corpora")}
    assert named == {str(path) for path in warehouse.ngrams.iterdir()}
    packed = {name for (name,) in rows(warehouse, "select queries_file from corpora")}
    assert packed == {str(path) for path in warehouse.packed_queries.iterdir()}


def test_queries_stay_for_readers_of_the_results_before(warehouse, run):
    left = []
    for corpora in ([DEV_CORPUS, TRAIN_CORPUS], [DEV_CORPUS], [DEV_CORPUS]):
        run(*corpora)
        left.append({path.name.partition("-")[0] for path in warehouse.packed_queries.iterdir()})
    assert left == [{"dev", "train"}, {"dev", "train"}, {"dev"}]


# History


def numbered(templates):
    return [(f"-- {number}", template) for number, template in enumerate(templates)]


def moved(n_changed):
    """Return a training set with some changed queries, a target, and predictions."""
    train = ["SELECT FROM WHERE ="] * (20 - n_changed) + ["SELECT FROM GROUP BY"] * n_changed
    return (
        ("train", numbered(train), {}),
        ("dev", numbered(["SELECT FROM WHERE ="] * 9 + ["SELECT FROM"]), {"role": "target"}),
        (
            "base",
            numbered(["SELECT FROM WHERE ="] * 3 + ["SELECT COUNT ( * ) FROM"]),
            {"role": "predictions", "target": "dev"},
        ),
    )


def test_each_run_adds_its_alignments_with_the_targets(warehouse, run):
    run(*moved(0))
    run(*moved(0))
    run(*moved(5))
    assert rows(
        warehouse,
        "select run_id, run_number, source, target from alignment_history where source = 'train'",
    ) == [(f"run-{n}", n, "train", "dev") for n in (1, 2, 3)]
    [(now, before, change, since_first, n_runs)] = rows(
        warehouse,
        "select kl_alignment, previous_kl_alignment, change, change_since_first, n_runs "
        "from alignment_change where source = 'train'",
    )
    assert change == since_first == now - before < 0
    assert n_runs == 3
    assert rows(
        warehouse, "select kl_alignment from alignment where source = 'train' and target = 'dev'"
    ) == [(now,)]


def test_small_steps_add_up_to_a_drift_and_start_again_from_there(warehouse, run):
    for n_changed in range(6):
        run(*moved(n_changed))
    found = rows(
        warehouse,
        "select kl_alignment, drift_from, is_drift from alignment_history "
        "where source = 'train' order by run_number",
    )
    base = found[0][0]
    expected = [(base, None, False)]
    for value, _, _ in found[1:]:
        is_drift = abs(value - base) > DRIFT_THRESHOLD
        expected.append((value, base, is_drift))
        base = value if is_drift else base
    assert found == expected
    assert {is_drift for *_, is_drift in found} == {True, False}


def test_a_ratio_that_crosses_1_changes_its_verdict(warehouse, run):
    for n_changed in (0, 1, 12, 12, 0):
        run(*moved(n_changed))
    found = rows(
        warehouse,
        "select alignment_ratio > 1, is_verdict_changed from alignment_ratio_history "
        "order by run_number",
    )
    assert found == [(True, False), (True, False), (False, True), (False, False), (True, True)]
    assert rows(warehouse, "select is_verdict_changed from alignment_ratio_change") == [(True,)]


def test_history_survives_another_version_of_its_tables(warehouse, run):
    """One column is missing, and one is new."""
    run(*moved(0))
    with duckdb.connect(str(warehouse.database)) as con:
        con.execute("drop view alignment_change")
        con.execute("alter table alignment_history drop drift_from")
        con.execute("alter table alignment_history add column other varchar default 'x'")
        con.execute("update runs set versions = '{}', results_key = 'other'")
    run(*moved(0))
    assert rows(
        warehouse, "select run_id, run_number from alignment_history where source = 'train'"
    ) == [
        ("run-1", 1),
        ("run-2", 2),
    ]
    assert rows(warehouse, "select run_id from runs") == [("run-1",), ("run-2",)]


def test_history_survives_the_loss_of_the_database(warehouse, run):
    run(*moved(0))
    run(*moved(5))
    for n_runs, content in enumerate((None, b"", b"this is not a database" * 1000), 2):
        warehouse.database.unlink()
        if content is not None:
            warehouse.database.write_bytes(content)
        messages = []
        with progress.listening(messages.append):
            run(*moved(5))
        [message] = [one.text for one in messages]
        assert message.endswith(
            f"; publishing a new one with the history of {n_runs} runs from its backup"
        )
        numbers = range(1, n_runs + 2)
        assert rows(warehouse, "select run_id from runs") == [(f"run-{n}",) for n in numbers]
        assert rows(
            warehouse,
            "select run_number, is_drift from alignment_history where source = 'train'",
        ) == [(n, n == 2) for n in numbers]
    # The loss of the backup too.
    warehouse.database.unlink()
    warehouse.backup_file.write_bytes(b"no more")
    run(*moved(5))
    assert rows(warehouse, "select run_id from runs") == [("run-6",)]


def test_a_table_that_cannot_be_carried_over_is_reported(warehouse, run):
    run(*moved(0))
    with duckdb.connect(str(warehouse.database)) as con:
        con.execute("drop view alignment_change")
        con.execute("alter table alignment_history drop source")
        con.execute("update runs set versions = '{}', results_key = 'other'")
    warehouse.digests_file.unlink()  # earlier versions have no digest of the database
    messages = []
    with progress.listening(messages.append):
        run(*moved(0))
    assert [one.text for one in messages if "alignment_history" in one.text] == [
        "dropping table alignment_history of an earlier version: its columns differ"
    ]
    assert rows(warehouse, "select distinct run_id from alignment_history") == [("run-2",)]


def test_changes_of_a_run_are_found(warehouse, run):
    run(*moved(0))
    first = find_changes(warehouse.folder, "run-1")
    assert first.new == ("base", "dev", "train")
    assert (first.changed, first.drifts, first.verdicts) == ((), (), ())
    run(*moved(12), ("more", ["SELECT FROM", None], {}))
    found = find_changes(warehouse.folder, "run-2")
    assert found.new == ("more",)
    assert found.rejects == (("more", 1, 0.5, "does not parse"),)
    [drift] = found.drifts
    assert (drift.source, drift.target, drift.drift_from) == (
        "train",
        "dev",
        found_at(warehouse, 1),
    )
    assert drift.drift == drift.kl_alignment - drift.drift_from < -DRIFT_THRESHOLD
    [verdict] = found.verdicts
    assert (verdict.train, verdict.target, verdict.predictions) == ("train", "dev", "base")
    assert verdict.previous_alignment_ratio > 1 > verdict.alignment_ratio


def found_at(warehouse, run_number):
    query = "select kl_alignment from alignment_history where source = 'train' and run_number = "
    return rows(warehouse, query + str(run_number))[0][0]
