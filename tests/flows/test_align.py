"""The main job: the tables it publishes, and the work that a second run reuses."""

import json
import shutil
from itertools import product

import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError, WarehouseError
from nl2sql_align.tasks.measures import matrix
from nl2sql_align.tasks.ngrams import corpus_counts
from nl2sql_align.tasks.run import prepare
from nl2sql_align.tasks.templates import parser_pool
from nl2sql_align.tasks.templates.rules import DEFAULT_LIMITS, TEMPLATE_RULES_VERSION, Limits
from nl2sql_align.tasks.views.report import report_file
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.flows.conftest import SAMPLES, small_corpora
from tests.flows.warehouses import count_rewritten, leftovers, read, stage_files, tables

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("one_parser_process")]


# Published tables


def test_every_table_is_filled_from_the_sample_corpora(sample_run):
    empty = [name for name, rows in tables(sample_run.warehouse).items() if not rows]
    assert empty == ["alignment_by_slice"]  # no sample names a column of slices
    assert leftovers(sample_run.warehouse) == []


def test_the_summary_counts_the_work(sample_run):
    names = [name for (name,) in read(sample_run.warehouse, "select corpus from corpora")]
    [n_distinct] = read(sample_run.warehouse, "select sum(n_distinct_queries) from corpora")[0]
    assert list(sample_run.corpora) == names
    assert sample_run.set_aside == {}
    assert sample_run.n_ingested == len(names) == 7
    assert sample_run.n_parsed == n_distinct
    assert sample_run.n_crashed == 0
    assert sample_run.n_pairs == sample_run.n_new_pairs == 49
    assert list(sample_run.seconds) == [
        "ingest",
        "templates",
        "ngrams",
        "matrix",
        "intervals",
        "publish",
        "report",
    ]
    assert all(seconds >= 0 for seconds in sample_run.seconds.values())


def test_the_matrix_has_a_row_for_every_ordered_pair(sample_run):
    rows = read(sample_run.warehouse, "select source, target, kl_alignment from alignment")
    assert sorted(row[:2] for row in rows) == sorted(product(sample_run.corpora, repeat=2))
    assert all(alignment == 1 for source, target, alignment in rows if source == target)
    assert all(1 / 2.7183 <= alignment <= 1 for *_, alignment in rows)


def test_the_sample_corpora_align_as_their_readme_describes(sample_run):
    to_dev = dict(
        read(
            sample_run.warehouse,
            "select source, kl_alignment from alignment where target = 'orchard-dev'",
        )
    )
    sets = ["harbour-train", "ledger-train", "synth-train"]
    models = ["sprig-1b-base", "sprig-1b-tuned", "oak-7b-base"]
    assert max(sets, key=to_dev.__getitem__) == "harbour-train"
    assert to_dev["ledger-train"] < min(to_dev[model] for model in models)
    assert to_dev["synth-train"] < min(to_dev[model] for model in models)


def test_the_ratio_is_above_1_for_the_right_training_sets(sample_run):
    rows = read(
        sample_run.warehouse, "select predictions, train, alignment_ratio from alignment_ratio"
    )
    ratios = {(predictions, train): ratio for predictions, train, ratio in rows}
    assert len(ratios) == 9
    assert ratios["sprig-1b-base", "harbour-train"] > 1.2
    assert ratios["sprig-1b-base", "ledger-train"] < 1
    assert ratios["sprig-1b-base", "synth-train"] < 1
    assert ratios["oak-7b-base", "harbour-train"] <= 1.05
    [effect] = read(
        sample_run.warehouse, "select model, alignment_before, alignment_after from tuning_effect"
    )
    assert effect[0] == "sprig-1b"
    assert effect[1] < effect[2]


def test_the_run_is_recorded(sample_run):
    [row] = read(
        sample_run.warehouse,
        "select run_id, finished_at > started_at, parameters, versions, corpora_digests, set_aside"
        " from runs",
    )
    run_id, is_later, *texts = row
    parameters, versions, digests, set_aside = map(json.loads, texts)
    assert run_id == sample_run.run_id
    assert is_later
    assert parameters["corpora"] == str(SAMPLES / "corpora.toml")
    assert parameters["skew"] == 0.01
    assert parameters["max_brackets"] == DEFAULT_LIMITS.max_brackets
    assert versions["template_rules"] == str(TEMPLATE_RULES_VERSION)
    assert {"sqlglot", "duckdb", "python", "matrix"} < versions.keys()
    assert digests.keys() == set(sample_run.corpora)
    assert set_aside == {}


def test_files_of_counts_name_their_source(sample_run):
    [(digest, file)] = read(
        sample_run.warehouse,
        "select digest, ngrams_file from corpora where corpus = 'harbour-train'",
    )
    metadata = pq.read_schema(file).metadata
    assert metadata[b"corpus"] == b"harbour-train"
    assert metadata[b"digest"] == digest.encode()
    assert metadata[b"template_rules_version"] == str(TEMPLATE_RULES_VERSION).encode()
    assert metadata[b"max_n"] == b"15"


# Reuse


def test_the_command_ends_at_once_if_nothing_has_changed(first, corpora, capsys):
    from nl2sql_align.flows.cli import invoke

    runs = read(first.warehouse, "select count(*) from runs")
    line = ["run", str(corpora.write()), "--warehouse", str(first.warehouse)]
    assert invoke(line) == 0
    printed = capsys.readouterr()
    assert "nothing has changed since the run of " in printed.err
    assert "starting Prefect" not in printed.err
    assert "Closest training sets" in printed.out
    assert read(first.warehouse, "select count(*) from runs") == runs


def again(run, corpora, warehouse):
    """Run again, and count the files that each stage wrote."""
    before = stage_files(warehouse)
    summary = run(corpora.write(), warehouse)
    return summary, count_rewritten(before, stage_files(warehouse))


NOTHING = {"queries": 0, "templates": 0, "ngrams": 0, "pairs": 0, "intervals": 0}


def test_a_second_run_reuses_everything(align, corpora, first):
    before, files = tables(first.warehouse, aside=()), stage_files(first.warehouse)
    report = report_file(first.warehouse).stat()
    summary, done = again(align, corpora, first.warehouse)
    assert done == NOTHING
    assert stage_files(first.warehouse) == files
    assert report_file(first.warehouse).stat().st_ino == report.st_ino
    assert (summary.n_ingested, summary.n_parsed, summary.n_pairs, summary.n_new_pairs) == (
        *(0, 0),
        *(16, 0),
    )
    assert tables(first.warehouse, aside=()) == before
    runs = read(first.warehouse, "select run_id from runs order by started_at")
    assert runs == [(first.run_id,), (summary.run_id,)]


def test_a_lost_database_is_published_again_from_the_stage_files(job, corpora, first):
    before = tables(first.warehouse)
    Warehouse(first.warehouse).database.unlink()
    _, done = again(job, corpora, first.warehouse)
    assert done == NOTHING
    assert tables(first.warehouse) == before


def test_only_a_changed_dump_is_processed_again(job, corpora, first):
    corpora.add("far", ["SELECT a FROM b WHERE c > 1", "SELECT 1"])
    summary, done = again(job, corpora, first.warehouse)
    assert done == {"queries": 1, "templates": 1, "ngrams": 1, "pairs": 1, "intervals": 1}
    assert (summary.n_ingested, summary.n_parsed) == (1, 2)
    assert (summary.n_pairs, summary.n_new_pairs) == (16, 7)
    assert read(first.warehouse, "select n_queries from corpora where corpus = 'far'") == [(2,)]


def test_a_touched_dump_is_not_processed_again(job, corpora, first):
    corpora.add("far", corpora.dump("far").read_text().splitlines())
    assert again(job, corpora, first.warehouse)[1] == NOTHING


def test_a_new_corpus_is_added(job, corpora, first):
    corpora.add("more", ["SELECT max(a) FROM b"])
    summary, done = again(job, corpora, first.warehouse)
    assert done == {"queries": 1, "templates": 1, "ngrams": 1, "pairs": 1, "intervals": 1}
    assert (summary.n_parsed, summary.n_pairs, summary.n_new_pairs) == (1, 25, 9)
    assert read(first.warehouse, "select count(*) from alignment") == [(25,)]


def test_a_removed_corpus_disappears_and_returns_with_the_same_results(job, corpora, first):
    before, entries = tables(first.warehouse), dict(corpora.entries)
    del corpora.entries["far"]
    summary, done = again(job, corpora, first.warehouse)
    assert {**done, "pairs": 0, "intervals": 0} == NOTHING
    assert (summary.n_pairs, summary.n_new_pairs) == (9, 0)
    names = {"near", "dev", "base"}
    for table, column in (
        ("corpora", "corpus"),
        ("queries", "corpus"),
        ("ngram_counts", "corpus"),
        ("alignment", "source"),
        ("alignment", "target"),
    ):
        found = read(first.warehouse, f"select distinct {column} from {table}")
        assert {name for (name,) in found} == names
    contributions = "select distinct source, target from ngram_contributions order by all"
    assert read(first.warehouse, contributions) == [("base", "dev"), ("near", "dev")]
    # Readers may still have the previous database open, which names four files.
    assert len(list(Warehouse(first.warehouse).ngrams.iterdir())) == 4
    again(job, corpora, first.warehouse)
    assert len(list(Warehouse(first.warehouse).ngrams.iterdir())) == 3
    assert len(list((first.warehouse / "stages" / "queries").iterdir())) == 3
    assert len(list(Warehouse(first.warehouse).packed_queries.iterdir())) == 3
    corpora.entries = entries
    again(job, corpora, first.warehouse)
    assert tables(first.warehouse) == before


def test_a_new_dialect_parses_the_ingested_queries_again(job, corpora, first):
    corpora.entries["far"]["dialect"] = "postgres"
    summary, done = again(job, corpora, first.warehouse)
    assert {**done, "pairs": 0, "intervals": 0} == {
        "queries": 0,
        "templates": 1,
        "ngrams": 1,
        "pairs": 0,
        "intervals": 0,
    }
    assert (summary.n_ingested, summary.n_parsed) == (0, 7)


def test_a_renamed_corpus_is_counted_again_but_not_parsed(job, corpora, first):
    entry = corpora.entries.pop("far")
    corpora.entries["farther"] = {**entry, "name": "farther"}
    summary, done = again(job, corpora, first.warehouse)
    assert done == {"queries": 0, "templates": 0, "ngrams": 1, "pairs": 0, "intervals": 1}
    assert (summary.n_parsed, summary.n_new_pairs) == (0, 0)
    found = read(first.warehouse, "select corpus from corpora where corpus like 'far%'")
    assert found == [("farther",)]


def test_a_new_role_keeps_the_counts(job, corpora, first):
    corpora.entries["far"]["role"] = "target"
    summary, done = again(job, corpora, first.warehouse)
    assert {**done, "pairs": 0, "intervals": 0} == NOTHING
    assert summary.n_parsed == 0
    targets = read(first.warehouse, "select distinct target from ngram_contributions order by all")
    assert targets == [("dev",), ("far",)]


def test_new_template_rules_recompute_templates_and_later_stages(job, corpora, first, monkeypatch):
    monkeypatch.setattr(prepare, "TEMPLATE_RULES_VERSION", TEMPLATE_RULES_VERSION + 1)
    before = tables(first.warehouse)
    summary, done = again(job, corpora, first.warehouse)
    assert done == {"queries": 0, "templates": 4, "ngrams": 4, "pairs": 1, "intervals": 1}
    assert (summary.n_ingested, summary.n_parsed, summary.n_new_pairs) == (0, first.n_parsed, 16)
    assert tables(first.warehouse) == before


def test_new_ngram_rules_recompute_counts_and_later_stages(job, corpora, first, monkeypatch):
    for module in (prepare, corpus_counts):
        monkeypatch.setattr(module, "NGRAM_RULES_VERSION", 1_000)
    summary, done = again(job, corpora, first.warehouse)
    assert done == {"queries": 0, "templates": 0, "ngrams": 4, "pairs": 1, "intervals": 1}
    assert (summary.n_parsed, summary.n_new_pairs) == (0, 16)


def test_a_new_matrix_version_recomputes_the_measures_only(job, corpora, first, monkeypatch):
    monkeypatch.setattr(matrix, "MATRIX_VERSION", 1_000)
    summary, done = again(job, corpora, first.warehouse)
    assert done == {"queries": 0, "templates": 0, "ngrams": 0, "pairs": 1, "intervals": 1}
    assert (summary.n_parsed, summary.n_new_pairs) == (0, 16)


@pytest.fixture(scope="module")
def varied(job, tmp_path_factory):
    """Dumps under two names and in two dialects, and the summary of a run."""
    folder = tmp_path_factory.mktemp("varied")
    corpora = small_corpora(folder / "dumps")
    near = corpora.entries["near"]
    corpora.entries["near-twin"] = {**near, "name": "near-twin", "role": "target"}
    answers = ["SELECT a FROM b", "Here it is: SELECT max(a) FROM b", "SELECT a FROM b;"]
    base = corpora.add("base", answers, "predictions", target="dev").entries["base"]
    corpora.entries["base-twin"] = {**base, "name": "base-twin"}
    queries = ["SELECT `a` FROM b", "SELECT TOP 1 a FROM b"]
    corpora.add("mysql", queries, dialect="mysql").add("tsql", queries, dialect="tsql")
    return corpora, job(corpora.write(), folder / "warehouse")


def test_the_same_dump_under_two_names_is_parsed_once(varied):
    summary = varied[1]
    distinct = "select sum(n_distinct_queries) from corpora"
    distinct += " where corpus not in ('near-twin', 'base-twin', 'raw')"
    assert read(summary.warehouse, distinct) == [(summary.n_parsed,)]
    rows = read(
        summary.warehouse,
        "select * exclude (source, target, doubts) from alignment"
        " where source in ('near', 'near-twin') and target in ('near', 'near-twin')",
    )
    assert len(rows) == 4
    assert len(set(rows)) == 1
    assert rows[0][:3] == (0, 0, 1)
    for name in ("near", "near-twin"):
        assert read(summary.warehouse, "from ngram_counts where corpus = ?", name)
    of_twin = "select source, ngram, contribution_nats from ngram_contributions where target = ?"
    assert read(summary.warehouse, of_twin, "near-twin")


def test_cleaned_predictions_are_measured_as_written_too(job, varied):
    corpora, summary = varied
    base = corpora.entries["base"]
    corpora.entries["raw"] = {**base, "name": "raw", "clean": "none"}
    assert job(corpora.write(), summary.warehouse).n_parsed == 0
    rows = read(
        summary.warehouse,
        "select predictions, n_cleaned, alignment_ratio, alignment_ratio_as_written "
        "from alignment_ratio where train = 'near'",
    )
    found = {predictions: values for predictions, *values in rows}
    n_cleaned, ratio, as_written = found["base"]
    assert n_cleaned > 0
    assert ratio != as_written
    assert found["base-twin"] == found["base"]
    assert found["raw"] == [0, as_written, as_written]


def test_the_same_dump_in_two_dialects_is_two_corpora(varied):
    warehouse = varied[1].warehouse
    rejected = "select ordinal from queries where corpus = ? and template_id is null"
    assert read(warehouse, rejected, "mysql") == [(1,)]
    assert read(warehouse, rejected, "tsql") == [(0,)]


def test_the_order_of_corpora_changes_no_bit_of_the_results(job, corpora, first, tmp_path):
    permuted = corpora.write(["base", "far", "dev", "near"])
    summary = job(permuted, tmp_path / "warehouse", threads=1)
    assert sorted(summary.corpora) == sorted(first.corpora)
    assert summary.corpora != first.corpora
    expected, found = tables(first.warehouse), tables(summary.warehouse)
    for table in expected:
        assert found[table] == expected[table], table


# Corpora that cannot be used


def spoil(corpora):
    """Add a corpus for each fault that a dump can have, named after the fault."""
    whole = (SAMPLES / "harbour-train.json").read_bytes()
    parquet = (SAMPLES / "synth-train.parquet").read_bytes()
    corpora.add("missing", None)
    corpora.add("cut-json", whole[: len(whole) // 2], format="spider", path="cut.json")
    corpora.add("cut-parquet", parquet[:-100], format="gretel", path="cut.parquet")
    corpora.add("no-text", bytes(range(256)))
    corpora.add("empty", b"")
    corpora.add("wrong-format", whole, format="bird", path="wrong.json")
    corpora.add("no-sql", ["Sure, here is a query:", "I do not know.", ""])
    return {name for name in corpora.entries if name not in ("near", "far", "dev", "base")}


@pytest.fixture(scope="module")
def spoiled(job, tmp_path_factory):
    """Valid and faulty corpora, the names of the faulty ones, and the summary of a run."""
    folder = tmp_path_factory.mktemp("spoiled")
    corpora = small_corpora(folder / "dumps")
    names = spoil(corpora)
    return corpora, names, job(corpora.write(), folder / "warehouse")


@pytest.mark.fault
def test_faulty_corpora_are_set_aside_each_with_its_reason(spoiled):
    corpora, names, summary = spoiled
    assert summary.set_aside.keys() == names
    for name, reason in summary.set_aside.items():
        assert reason.startswith(f"corpus '{name}' ({corpora.dump(name)}): "), reason
        assert "; " in reason
        assert "\n" not in reason
    for name, words in {
        "missing": "does not exist",
        "cut-json": "is damaged or not in format 'spider'",
        "cut-parquet": "is damaged or not in format 'gretel'",
        "no-text": "is not text (invalid UTF-8 at byte 128)",
        "empty": "is empty",
        "wrong-format": "has no queries where format 'bird' stores them",
        "no-sql": "no query has a template in dialect 'sqlite'",
    }.items():
        assert words in summary.set_aside[name]


@pytest.mark.fault
def test_faulty_corpora_do_not_affect_the_others(spoiled, first):
    _, _, summary = spoiled
    assert summary.n_pairs == first.n_pairs == 16
    found, expected = tables(summary.warehouse), tables(first.warehouse)
    for table in ("templates", "ngram_counts", "alignment", "alignment_ratio"):
        assert found[table] == expected[table]
    assert leftovers(summary.warehouse) == []


@pytest.mark.fault
def test_corpora_set_aside_are_recorded_with_the_run(spoiled):
    _, names, summary = spoiled
    [(recorded,)] = read(summary.warehouse, "select set_aside from runs")
    assert json.loads(recorded) == summary.set_aside
    rows = read(summary.warehouse, "select corpus, is_set_aside from corpora")
    # It was ingested, and is published with its rejected queries, but has no distribution.
    assert {name for name, is_aside in rows if is_aside} == {"no-sql"}
    assert not names - {"no-sql"} & {name for name, _ in rows}
    reasons = read(summary.warehouse, "select reject_reason from queries where corpus = 'no-sql'")
    assert len(reasons) == 3
    assert all(reason for (reason,) in reasons)


@pytest.mark.fault
def test_the_next_run_uses_a_repaired_dump(job, corpora, first):
    corpora.add("more", b"")
    assert again(job, corpora, first.warehouse)[0].set_aside.keys() == {"more"}
    corpora.add("more", ["SELECT 1"])
    summary, done = again(job, corpora, first.warehouse)
    assert summary.set_aside == {}
    assert done == {"queries": 1, "templates": 1, "ngrams": 1, "pairs": 1, "intervals": 1}


@pytest.mark.fault
def test_predictions_stay_when_their_target_is_set_aside(job, corpora, tmp_path):
    corpora.add("dev2", ["SELECT a FROM b"], "target")
    corpora.add("base2", ["SELECT a FROM b"], "predictions", target="dev2")
    corpora.dump("dev").unlink()
    summary = job(corpora.write(), tmp_path / "warehouse")
    assert list(summary.set_aside) == ["dev"]
    assert "base" in summary.corpora
    ratios = read(summary.warehouse, "select predictions, train from alignment_ratio order by all")
    assert ratios == [("base2", "far"), ("base2", "near")]
    assert read(summary.warehouse, "select count(*) from alignment") == [(25,)]


@pytest.mark.fault
def test_earlier_results_stay_when_no_corpus_can_be_used(align, corpora, first):
    before = tables(first.warehouse, aside=())
    for name in corpora.entries:
        corpora.dump(name).unlink()
    summary = align(corpora.write(), first.warehouse)
    assert summary.corpora == ()
    assert summary.set_aside.keys() == corpora.entries.keys()
    assert tables(first.warehouse, aside=()) == before


@pytest.mark.fault
def test_corpora_without_a_template_are_published(job, corpora, tmp_path):
    corpora.entries.clear()
    corpora.add("a", ["no"]).add("b", ["neither this"], "target")
    summary = job(corpora.write(), tmp_path / "warehouse")
    assert summary.set_aside.keys() == {"a", "b"}
    assert read(summary.warehouse, "select corpus, n_rejected from corpora") == [("a", 1), ("b", 1)]
    assert read(summary.warehouse, "from alignment") == []


@pytest.mark.fault
def test_a_query_that_never_ends_is_rejected_alone(job, corpora, tmp_path, monkeypatch):
    corpora.add("far", ["SELECT 1", "SELECT 1 FROM a" + " JOIN a" * 60, "SELECT a FROM b"])
    limits = Limits(max_nodes=10**12, seconds_per_query=1.5)
    monkeypatch.setattr("nl2sql_align.tasks.run.job.read_limits", lambda: limits)
    summary = job(corpora.write(), tmp_path / "warehouse")
    assert summary.n_crashed == 1
    assert summary.set_aside == {}
    rejected = read(
        summary.warehouse,
        "select ordinal, reject_reason from queries where corpus = 'far' and template_id is null",
    )
    assert rejected == [(1, "takes longer than 1.5 s to parse (NL2SQL_ALIGN_QUERY_SECONDS)")]
    [note] = [note for note in summary.notes if note.startswith("far: 1 queries ran out of time")]
    assert "NL2SQL_ALIGN_QUERY_SECONDS" in note


# Errors that stop a run


@pytest.mark.fault
def test_an_error_in_the_corpora_file_stops_the_run_before_it_starts(align, corpora, tmp_path):
    corpora.entries["base"]["target"] = "nowhere"
    with pytest.raises(ConfigurationError, match=r"corpus 'base': key 'target': 'nowhere' is not"):
        align(corpora.write(), tmp_path / "warehouse")
    assert not (tmp_path / "warehouse").exists()


@pytest.mark.fault
def test_a_warehouse_in_use_is_left_alone(align, job, corpora, first):
    files = stage_files(first.warehouse)
    with (
        Warehouse(first.warehouse).locked(),
        pytest.raises(WarehouseError, match=r"is in use by process \d+ on "),
    ):
        align(corpora.write(), first.warehouse)
    assert stage_files(first.warehouse) == files
    job(corpora.write(), first.warehouse)


@pytest.mark.fault
def test_a_file_in_place_of_the_warehouse_is_an_error_in_one_line(align, corpora, tmp_path):
    (tmp_path / "file").write_text("here")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(WarehouseError) as caught:
            align(corpora.write(), path)
        assert str(caught.value).startswith(f"{path} cannot be written (")
        assert "\n" not in str(caught.value)


@pytest.mark.fault
def test_a_failing_parser_is_an_error_in_one_line_and_unlocks_the_warehouse(
    align, job, corpora, first, monkeypatch
):
    before = tables(first.warehouse, aside=())
    corpora.add("far", ["SELECT 1"])
    monkeypatch.setattr(parser_pool, "_pool", parser_pool._ParserPool())  # without a process yet
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(AlignError, match=r"^queries cannot be parsed: .*it says nothing"):
        align(corpora.write(), first.warehouse)
    monkeypatch.undo()
    assert tables(first.warehouse, aside=()) == before
    assert leftovers(first.warehouse) == []
    assert job(corpora.write(), first.warehouse).n_parsed == 1


@pytest.mark.fault
def test_a_server_that_dies_at_once_is_reported_with_its_last_words(
    prefect_home, tmp_path, monkeypatch
):
    from nl2sql_align.flows.running.temporary_server import TemporaryServer

    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no memory >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    server = TemporaryServer()
    with pytest.raises(AlignError, match=r"^Prefect's server does not start \(no memory\); check"):
        server.wait()
    server.stop()


@pytest.mark.parametrize("is_named", [False, True], ids=["own database", "named database"])
def test_a_temporary_server_removes_its_folder_and_no_named_database(
    prefect_home, empty_prefect_database, tmp_path, monkeypatch, is_named
):
    from nl2sql_align.flows.running.temporary_server import TemporaryServer

    folder, kept = tmp_path / "temporary", tmp_path / "kept.db"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    if is_named:
        shutil.copyfile(empty_prefect_database / "prefect.db", kept)
        url = f"sqlite+aiosqlite:///{kept}"
        monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", url)
    server = TemporaryServer()
    server.wait()
    assert len([*folder.iterdir()]) == 1
    server.stop()
    assert not server.is_running()
    assert [*folder.iterdir()] == []
    assert kept.exists() == is_named
