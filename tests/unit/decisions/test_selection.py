"""Selections and mixtures from a small warehouse."""

import hashlib
import json
import math
import re
import zipfile
from pathlib import Path

import polars as pl
import pytest

from nl2sql_align.tasks.base.connections import connect
from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.decisions.candidates import load_pool, note_missing_fields
from nl2sql_align.tasks.decisions.mixture import mix
from nl2sql_align.tasks.decisions.options import Method, Overlap, TrainingLayout
from nl2sql_align.tasks.decisions.selection import SelectionOptions, select
from nl2sql_align.tasks.decisions.training_files import TrainingOptions
from nl2sql_align.tasks.ingest.original_rows import read_original_rows
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.warehouse.folder import Warehouse, digest_file
from tests import reference
from tests.unit.results.test_publish import runner

JOIN, COUNT, NEST = "SELECT FROM JOIN ON =", "SELECT COUNT ( * ) FROM", "SELECT ( SELECT FROM )"


def some(name, template, n, literal="'x'"):
    return [(f"{name} {template} {literal} {i}", template) for i in range(n)]


TARGET = [
    *some("t", JOIN, 6),
    *some("t", COUNT, 3),
    ("SELECT a WHERE b = 'Oslo'", "SELECT WHERE ="),
    ("SELECT a WHERE b = 3", "SELECT WHERE ="),
]
NEAR = [
    *some("n", JOIN, 20, "'y'"),
    *some("n", NEST, 20),
    TARGET[0],
    ("SELECT c WHERE d = 'Oslo'", "SELECT WHERE ="),
    ("SELECT e WHERE f = 3", "SELECT WHERE ="),
    ("SELECT g WHERE h = 4", "SELECT WHERE ="),
    ("broken", None),
]
FAR = [*some("f", COUNT, 20, "'y'"), *some("f", NEST, 40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_corpus):
    warehouse = Warehouse(tmp_path_factory.mktemp("select") / "it's [1] *")
    runner(warehouse, make_corpus)(
        ("near", NEAR, {"license": "MIT"}),
        ("far", FAR, {}),
        ("dev", TARGET, {"role": "target", "db_ids": [*["a", "b"] * 5, "b"]}),
        ("base", [JOIN], {"role": "predictions", "target": "dev"}),
    )
    return warehouse.folder


def table(folder, name):
    with open_results(folder) as con:
        return con.sql(f"from {name}").pl()


@pytest.mark.parametrize("method", Method)
def test_the_numbers_of_a_selection_follow_from_its_rows(folder, tmp_path, method):
    made = select(folder, "dev", [], tmp_path, SelectionOptions(12, method=method))
    rows = pl.read_parquet(tmp_path / "selection.parquet")
    assert len(rows) == made.n_taken == 12
    chosen = rows["template"].to_list()
    targets = [template for _, template in TARGET]
    expected = reference.measures(
        reference.Corpus(chosen, chosen), reference.Corpus(targets, targets)
    )
    assert made.kl_alignment == pytest.approx(expected["kl_alignment"], abs=1e-12)
    assert made.kl_nats == pytest.approx(expected["kl_nats"], abs=1e-12)
    assert made.n_templates == rows["template"].n_unique()
    taken = dict(made.sources.select("source", "n_taken_from_source").iter_rows())
    assert taken == {name: (rows["source"] == name).sum() for name in ("near", "far")}
    written = (tmp_path / "selection.jsonl").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["sql"] for line in lines] == rows["sql"].to_list()
    queries = {"near": NEAR, "far": FAR}
    assert all(queries[line["source"]][line["ordinal"]][0] == line["raw_sql"] for line in lines)
    assert {line["source"]: line["license"] for line in lines}.get("near", "MIT") == "MIT"
    summary = json.loads((tmp_path / "selection.json").read_text())
    assert summary["selection"] == made.selection and summary["options"]["method"] == method
    stored = table(folder, "selections").filter(selection=made.selection)
    assert stored["n_taken_from_source"].sum() == 12
    assert set(stored["run_id"]) == {"run-1"}
    curve = table(folder, "selection_curves").filter(selection=made.selection).sort("n_rows")
    assert curve["n_rows"].to_list() == [1, 3, 6, 12]
    assert curve["kl_alignment"][-1] == made.kl_alignment


def test_a_direct_selection_is_closer_than_a_random_one_and_any_corpus(folder, tmp_path):
    made = select(folder, "dev", [], str(tmp_path), SelectionOptions(18, replicates=0))
    assert made.kl_alignment > made.curve["random_alignment"][-1] + 0.1
    assert made.kl_alignment > made.sources["source_alignment"].max() + 0.1
    assert made.kl_alignment > made.pool_alignment + 0.1


def test_the_same_call_takes_the_same_rows_and_replaces_its_record(folder, tmp_path):
    options = SelectionOptions(10, method=Method.RANDOM, seed=3)
    first = select(folder, "dev", ["near", "far"], tmp_path / "a", options)
    again = select(folder, "dev", ["near", "far"], tmp_path / "b", options)
    other = select(
        folder, "dev", ["near", "far"], tmp_path / "c", SelectionOptions(10, Method.RANDOM, seed=4)
    )
    files = [tmp_path / name / "selection.jsonl" for name in "abc"]
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    assert first.selection == again.selection != other.selection
    assert len(table(folder, "selections").filter(selection=first.selection)) == 2
    assert not list(tmp_path.rglob(".tmp*"))


@pytest.mark.parametrize(
    ("overlap", "left_out", "stay"),
    [
        ("none", [], [TARGET[0][0], "SELECT c WHERE d = 'Oslo'"]),
        ("exact", [TARGET[0][0]], ["SELECT c WHERE d = 'Oslo'", "SELECT e WHERE f = 3"]),
        ("near", [TARGET[0][0], "SELECT c WHERE d = 'Oslo'"], ["SELECT e WHERE f = 3"]),
        (
            "strict",
            [TARGET[0][0], "SELECT c WHERE d = 'Oslo'", "SELECT e WHERE f = 3"],
            ["SELECT g WHERE h = 4"],
        ),
    ],
)
def test_rows_that_the_target_also_has_are_excluded(folder, tmp_path, overlap, left_out, stay):
    options = SelectionOptions(1000, method=Method.RANDOM, exclude_overlap=overlap)
    made = select(folder, "dev", ["near"], tmp_path, options)
    taken = pl.read_parquet(tmp_path / "selection.parquet")["sql"].to_list()
    assert not set(left_out) & set(taken)
    assert set(stay) <= set(taken)
    [row] = made.sources.to_dicts()
    assert row["n_overlapping"] == len(left_out)
    assert row["n_candidates"] == len(taken) == len(NEAR) - 1 - len(left_out)
    assert row["n_rejected"] == 1
    assert "only" in made.notes[0] and made.notes[0].endswith("there are no more")
    assert f"{len(taken)} of {len(taken)} rows have no question (those of near)" in made.notes[1]


@pytest.mark.parametrize("method", Method)
def test_every_method_respects_caps_and_min_templates(folder, tmp_path, method):
    options = SelectionOptions(
        10, method=method, caps={"near": 0.2}, max_share=0.8, min_templates=3
    )
    made = select(folder, "dev", [], tmp_path, options)
    taken = dict(made.sources.select("source", "n_taken_from_source").iter_rows())
    assert taken == {"near": 2, "far": 8}
    assert made.n_templates >= 3


def test_a_record_is_found_among_the_turns_of_a_chat(tmp_path):
    turns = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "SELECT 1"}]
    rows = [{"messages": turns, "schema": "t(a)"}, {"messages": turns[:1]}]
    dump = tmp_path / "chat [1].jsonl"
    dump.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {"corpus": "a", "format": "chat", "path": str(dump)}
    digest = hashlib.sha256(dump.read_bytes()).hexdigest()
    wanted = pl.DataFrame({"source": "a", "ordinal": [0, 1], "raw_sql": ["SELECT 1", "SELECT 1"]})
    with connect() as con:
        found = read_original_rows(con, pl.DataFrame([{**source, "digest": digest}]), wanted)
        changed = read_original_rows(con, pl.DataFrame([{**source, "digest": "0"}]), wanted)
    assert [one and json.loads(one) for one in found] == [rows[0], None]
    assert changed.to_list() == [None, None]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (None, None),
        (Path.unlink, r"the dump of a \(.+\) is gone, .+; put it back"),
        (lambda dump: dump.write_text("[]"), r"the dump of a \(.+\) has changed .+; run again"),
    ],
)
def test_a_dump_that_has_changed_since_the_run_is_told(tmp_path, change, note):
    dump = tmp_path / "a.json"
    dump.write_text('[{"query": "SELECT 1", "question": "?"}]')
    given = {"corpus": "a", "format": "bird", "path": str(dump), "digest": digest_file(dump)}
    log = {"corpus": "b", "format": "lines", "path": "s3://bucket/b.sql", "digest": "0"}
    unused = {"corpus": "c", "format": "gretel", "path": str(tmp_path / "nowhere"), "digest": "0"}
    rows = pl.DataFrame(
        {"source": ["a", "b"], "record": None}, schema_overrides={"record": pl.String}
    )
    if change is not None:
        change(dump)
    found = note_missing_fields(pl.DataFrame([given, log, unused]), rows)
    assert [bool(re.fullmatch(note, one)) for one in found] == ([True] if note else [])
    with_records = rows.with_columns(record=pl.lit("{}"))
    assert note_missing_fields(pl.DataFrame([given, log, unused]), with_records) == []


def test_fields_of_archives_folders_and_addresses_are_missing_with_a_note(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", "[]")
    paths = [tmp_path / "a.zip", tmp_path, "s3://bucket/a.json"]
    digests = [digest_file(tmp_path / "a.zip"), "0", "0"]
    sources = pl.DataFrame(
        [
            {"corpus": f"{i}", "format": "gretel", "path": str(path), "digest": digest}
            for i, (path, digest) in enumerate(zip(paths, digests, strict=True))
        ]
    )
    rows = pl.DataFrame(
        {"source": ["0", "1", "2"], "record": None}, schema_overrides={"record": pl.String}
    )
    notes = note_missing_fields(sources, rows)
    assert [note.partition(") ")[2].partition(",")[0] for note in notes] == [
        "is packed",
        "is a folder",
        "is read from an address",
    ]
    assert note_missing_fields(sources.with_columns(format=pl.lit("lines")), rows) == []


def test_records_with_numbers_that_json_lacks_are_valid(tmp_path):
    dump = tmp_path / "a.parquet"
    pl.DataFrame({"sql": ["SELECT 1"], "score": [math.nan]}).write_parquet(dump)
    digest = digest_file(dump)
    source = {"corpus": "a", "format": "parquet", "path": str(dump), "digest": digest}
    wanted = pl.DataFrame({"source": ["a"], "ordinal": [0], "raw_sql": ["SELECT 1"]})
    with connect() as con:
        [record] = read_original_rows(con, pl.DataFrame([source]), wanted)
    assert record == '{"sql": "SELECT 1", "score": null}'


def test_frequencies_of_a_log_count(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "house")
    queries = [("-- a", JOIN), ("-- b", COUNT), ("-- c", NEST)]
    runner(warehouse, make_corpus)(
        ("log", queries, {"frequencies": [50, 1, 1]}),
        ("far", FAR, {}),
        ("dev", TARGET, {"role": "target", "frequencies": [1] * 9 + [15, 15]}),
    )
    known = dict(
        table(warehouse.folder, "alignment")
        .filter(target="dev")
        .select("source", "kl_alignment")
        .iter_rows()
    )
    mixed = mix(warehouse.folder, "dev", replicates=20).sources
    for name, alone in mixed.select("source", "source_alignment").iter_rows():
        assert alone == pytest.approx(known[name], abs=1e-12)
    # A row of a log can be taken once; a query of the target counts as often as it occurs.
    made = select(warehouse.folder, "dev", ["far"], tmp_path / "all", SelectionOptions(60))
    assert made.kl_alignment == pytest.approx(known["far"], abs=1e-12)
    taken = select(warehouse.folder, "dev", ["log"], tmp_path / "three", SelectionOptions(60))
    assert taken.n_taken == 3
    counted = pl.read_csv(tmp_path / "three" / "templates.csv")
    in_target = dict(counted.select("template", "n_in_target").iter_rows())
    assert in_target == {JOIN: 6, COUNT: 3, NEST: 0}
    assert counted["share_in_target"].sum() == pytest.approx(9 / 39)


def test_greedy_stops_when_more_rows_make_it_worse(folder, tmp_path):
    made = select(folder, "dev", [], tmp_path, SelectionOptions(70, method="greedy", stop=True))
    assert made.n_taken == made.best_size < 70
    assert not any("only" in note for note in made.notes)
    note = made.notes[0]
    assert note.startswith(f"stopped at {made.n_taken} rows, because more make it worse: 70 rows")
    whole = select(folder, "dev", [], tmp_path, SelectionOptions(70, method="greedy"))
    assert whole.best_size == made.best_size
    expected = f"the cross-entropy is lowest after {made.best_size} rows; --stop takes no more"
    assert whole.notes[0] == expected


def test_a_small_target_has_a_best_number_of_rows(folder, tmp_path):
    """The pool has few rows like the target's; all others make the selection worse."""
    whole = select(folder, "dev", [], tmp_path / "all", SelectionOptions(120))
    best = whole.curve.sort("kl_alignment")[-1]
    assert whole.best_size == best["n_rows"].item() < whole.n_taken
    assert whole.notes[0] == (
        f"more rows make it worse: {whole.best_size} rows reach {best['kl_alignment'].item():.3f}, "
        f"{whole.n_taken} rows reach {whole.kl_alignment:.3f}; --stop takes the better number"
    )
    made = select(folder, "dev", [], tmp_path / "best", SelectionOptions(120, stop=True))
    assert made.n_taken == made.best_size == made.curve["n_rows"][-1] <= whole.best_size
    assert made.kl_alignment >= best["kl_alignment"].item() - 0.005
    assert made.notes[0] == (
        f"stopped at {made.n_taken} rows, because more make it worse: {whole.n_taken} rows reach "
        f"{whole.kl_alignment:.3f}"
    )
    assert not any("cap" in note for note in made.notes)
    same = select(folder, "dev", [], tmp_path / "same", SelectionOptions(made.n_taken))
    assert same.kl_alignment == made.kl_alignment
    # Without a better step, there is nothing to say.
    assert same.best_size == same.n_taken
    assert not any("worse" in note for note in same.notes)


@pytest.mark.parametrize(
    ("target", "sources", "options", "message"),
    [
        ("none", [], SelectionOptions(1), "no corpus 'none' .* use one of near, far, dev"),
        ("dev", ["near", "x"], SelectionOptions(1), "no corpus 'x'"),
        ("dev", ["dev"], SelectionOptions(1), "'dev' is the target"),
        ("dev", ["near", "base"], SelectionOptions(1), "'base' has the role predictions"),
        ("dev", [], SelectionOptions(0), "budget: 0"),
        ("dev", [], SelectionOptions(1, method="best"), "'best' is not one of direct, greedy"),
        ("dev", [], SelectionOptions(1, exclude_overlap="all"), "'all' is not one of exact"),
        ("dev", [], SelectionOptions(1, caps={"x": 0.5}), "cap of 'x'"),
        ("dev", [], SelectionOptions(1, caps={"near": 2}), "cap of near: 2"),
        ("dev", [], SelectionOptions(1, caps={"near": 0, "far": 0}), "the caps leave no row"),
        ("dev", [], SelectionOptions(2, min_templates=3), "min_templates: 3"),
        ("dev", [], SelectionOptions(2, replicates=-1), "replicates: -1"),
    ],
)
def test_errors_name_the_mistake_in_one_line(folder, tmp_path, target, sources, options, message):
    with pytest.raises(ConfigurationError, match=message):
        select(folder, target, sources, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_missing_stage_files_are_named(folder, tmp_path):
    with pytest.raises(WarehouseError, match="contains no results"):
        select(tmp_path, "dev", [], tmp_path / "out", SelectionOptions(1))


def test_rows_are_taken_even_if_nothing_is_shared(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "warehouse")
    rows = [("SELECT 1", "VALUES"), *some("n", "UPDATE SET", 4)]
    runner(warehouse, make_corpus)(
        ("train", rows, {}), ("dev", some("t", "DELETE", 5), {"role": "target"})
    )
    for method in Method:
        made = select(
            warehouse.folder, "dev", [], tmp_path / method, SelectionOptions(3, method=method)
        )
        assert made.n_taken == 3, method
        assert made.kl_alignment == pytest.approx(math.exp(-1)), method


def test_a_mixture_is_recorded_with_intervals(folder):
    made = mix(folder, "dev", replicates=30)
    rows = made.sources.to_dicts()
    assert sum(row["row_weight"] for row in rows) == pytest.approx(1)
    assert [row["source"] for row in rows] == ["near", "far"]
    assert made.kl_alignment > max(row["source_alignment"] for row in rows)
    for row in rows:
        ends = row["row_weight_low"], row["row_weight_high"]
        assert 0 <= ends[0] <= row["row_weight"] <= ends[1] <= 1
    assert made.unit == "database" and rows[0]["gap_nats"] < 1e-4
    with open_results(folder) as con:
        published = con.execute(
            "select kl_alignment from alignment where target = 'dev' and source = 'near'"
        ).fetchone()
    assert rows[0]["source_alignment"] == pytest.approx(published[0], abs=1e-12)
    assert (
        mix(folder, "dev", replicates=30)
        .sources.drop("created_at")
        .equals(made.sources.drop("created_at"))
    )
    assert len(table(folder, "mixtures").filter(mixture=made.mixture)) == 2


@pytest.fixture(scope="module")
def asked(tmp_path_factory, make_corpus):
    """A warehouse whose training sets have questions and databases."""
    warehouse = Warehouse(tmp_path_factory.mktemp("asked") / "house")
    questions = [f"Question {i}?" for i in range(len(FAR))]
    runner(warehouse, make_corpus)(
        ("near", NEAR, {"questions": questions[: len(NEAR)]}),
        ("far", FAR, {"questions": questions}),
        ("dev", TARGET, {"role": "target"}),
    )
    return warehouse.folder


CORE = {"selection.json", "selection.jsonl", "selection.parquet", "templates.csv"}


def names(folder):
    return {file.name for file in folder.iterdir()}


def test_another_call_leaves_no_file_of_the_one_before(asked, tmp_path):
    def choose(layout, **options):
        training = layout and TrainingOptions(layout, **options)
        select(asked, "dev", [], tmp_path / "out", SelectionOptions(12), training)
        return names(tmp_path / "out") - CORE

    loading = {"train.jsonl", "training.md", "dataset_info.json"}
    assert choose("messages", validation_share=0.3) == {*loading, "validation.jsonl"}
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert choose("messages") == {*loading, "notes.txt"}
    assert choose("verl") == {"train.parquet", "training.md", "notes.txt"}
    assert choose(None) == {"notes.txt"}
    listed = json.loads((tmp_path / "out" / "selection.json").read_text())
    assert set(listed["files"]) == CORE


def test_a_selection_replaces_no_file_that_another_program_wrote(asked, tmp_path):
    options = SelectionOptions(12)
    for name in ("selection.json", "train.jsonl"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_text('{"mine": true}')
        with pytest.raises(ConfigurationError, match=f"{name} exists and was not written by sele"):
            select(asked, "dev", [], folder, options, TrainingOptions(TrainingLayout.MESSAGES))
        assert names(folder) == {name} and json.loads((folder / name).read_text())["mine"]
    (tmp_path / "train.jsonl" / "train.jsonl").write_text("")
    select(asked, "dev", [], tmp_path / "train.jsonl", options)
    assert names(tmp_path / "train.jsonl") == {*CORE, "train.jsonl"}


def test_a_selection_of_version_0_2_is_replaced(asked, tmp_path):
    select(asked, "dev", [], tmp_path, SelectionOptions(12))
    written = json.loads((tmp_path / "selection.json").read_text())
    del written["made_by"], written["files"]
    (tmp_path / "selection.json").write_text(json.dumps(written))
    select(asked, "dev", [], tmp_path, SelectionOptions(10))
    assert len(pl.read_parquet(tmp_path / "selection.parquet")) == 10


def test_a_copy_of_the_target_in_a_mixture_is_told_and_not_to_select_from(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "house")
    runner(warehouse, make_corpus)(
        ("far", FAR, {}),
        ("same", TARGET, {}),
        ("superset", [*TARGET, *some("s", "SELECT FROM LIMIT", 3)], {}),
        ("dev", TARGET, {"role": "target"}),
    )

    def mixed(*sources):
        made = mix(warehouse.folder, "dev", sources, replicates=20)
        return made.selectable, [note for note in made.notes if " of the queries of " in note]

    assert mixed("far") == (("far",), [])
    selectable, [note] = mixed("far", "same")
    assert selectable == ()
    assert note.startswith("same contains 100.0% of the queries of dev, and its weight counts")
    assert mixed("superset")[0] == ("superset",)


def test_another_mixture_leaves_no_file_of_the_one_before(asked, tmp_path):
    def write(layout, sources):
        mix(asked, "dev", sources, 20, out=tmp_path, training=TrainingOptions(layout))
        return names(tmp_path)

    common = {"mixture.json", "training.md"}
    first = {*common, "near.jsonl", "far.jsonl", "dataset_info.json"}
    assert write("messages", ["near", "far"]) == first
    assert write("verl", ["near"]) == {*common, "near.parquet"}
    (tmp_path / "far.parquet").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"far.parquet exists and was not written by mix"):
        write("verl", ["near", "far"])
    with pytest.raises(ConfigurationError, match=r"training.md exists and was not written by sel"):
        given = TrainingOptions(TrainingLayout.VERL)
        select(asked, "dev", [], tmp_path, SelectionOptions(12), given)


def test_a_mixture_is_written_for_a_trainer(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "house")
    asked = [f"Question {i}?" for i in range(len(NEAR))]
    keys = {"questions": asked, "frequencies": [3] + [1] * (len(NEAR) - 1)}
    runner(warehouse, make_corpus)(
        ("near", NEAR, keys),
        ("far", FAR, {"questions": [*asked, *asked, *asked][: len(FAR)]}),
        ("apart", some("a", "UPDATE SET", 5), {}),
        ("dev", TARGET, {"role": "target"}),
    )
    given = TrainingOptions(TrainingLayout.PROMPT_COMPLETION)
    made = mix(warehouse.folder, "dev", replicates=20, out=str(tmp_path / "out"), training=given)
    assert made.sources["row_weight"][2] == pytest.approx(0, abs=1e-3)
    assert list(made.training.files) == made.sources["source"].to_list()[:2]
    for name, queries in (("near", NEAR), ("far", FAR)):
        lines = made.training.files[name].read_text().splitlines()
        written = [json.loads(line)["completion"][0]["content"] for line in lines]
        assert sorted(written) == sorted(sql for sql, template in queries if template)
    assert [note for note in made.notes if note.startswith("each row of near is written once")]
    with pytest.raises(ConfigurationError, match="need both out and training"):
        mix(warehouse.folder, "dev", training=given)


def test_the_name_of_one_corpus_is_not_a_list_of_letters(folder):
    with open_results(folder) as con:
        found = [
            load_pool(con, folder, "dev", given, Overlap.NEAR, 0).sources
            for given in ("near", ["near"])
        ]
    assert found[0].equals(found[1])


def test_resampling_a_target_in_blocks_changes_no_bit(folder):
    with open_results(folder) as con:
        target = load_pool(con, folder, "dev", [], Overlap.NEAR, 0).target
    whole = target.resample(30, 0, target.n_occurrences)
    blocks = target.resample(30, 0, target.n_occurrences, weights_per_block=1)
    assert whole.tobytes() == blocks.tobytes()


def test_a_mixture_needs_replicates_for_its_intervals(folder):
    with pytest.raises(ConfigurationError, match="replicates: 5"):
        mix(folder, "dev", replicates=5)


ACCIDENTS = {
    "mysql": [
        "SELECT EPISODE_#_NAME FROM t WHERE a = 1",
        "SELECT Pick # FROM t WHERE a = 1",
        "SELECT VIEWERS_(MILLIONS)_NAME FROM t",
        "SELECT a FROM t WHERE WRITER(S)_NAME = 'x'",
        "SELECT KICKOFF_[A]_NAME FROM t",
        "SELECT DATE_(D)1 FROM t",
        "SELECT a FROM t WHERE b--c = 1",
    ],
    "sqlite": ["SELECT VIEWERS_(MILLIONS) FROM t"],
    "tsql": ["SELECT YEAR(S)_WON FROM t"],
}
NO_ACCIDENTS = {
    "mysql": [
        "SELECT COUNT(s) FROM t # the harbours",
        "SELECT a FROM t WHERE b = '#1 = x'",
        "# boats FROM t\nSELECT a FROM t",
        "SELECT `Pick # FROM` FROM t",
        "SELECT a FROM t -- WHERE b = 1",
        "SELECT COUNT(a)FROM t WHERE(b)=(c)AND d",
        "SELECT MAX(s)-MIN(s), SUM(s)/2 FROM t HAVING COUNT(s)>3",
        "SELECT a FROM t--by note 4\nWHERE b = 1",
    ],
    "sqlite": ["SELECT [School_(club)_x] FROM t", 'SELECT "Writer(s)_x" FROM t'],
    "tsql": ["SELECT a FROM #boats WHERE b = ##limit##", "SELECT [a_(b)] FROM t"],
    "postgres": [
        "SELECT a #> '{b}' FROM t WHERE c = 1",
        "SELECT x_y[1] FROM t",
        "SELECT ROW_TO_JSON(s)::jsonb FROM t",
    ],
}


@pytest.fixture(scope="module")
def accidents(tmp_path_factory, make_corpus):
    """Training sets with rows that parse by accident, one for each dialect."""
    warehouse = Warehouse(tmp_path_factory.mktemp("accidents"))
    corpora = [
        (dialect, [(sql, COUNT) for sql in both[dialect]], {"dialect": dialect})
        for dialect in NO_ACCIDENTS
        for both in [{**NO_ACCIDENTS, **{d: s + NO_ACCIDENTS[d] for d, s in ACCIDENTS.items()}}]
    ]
    runner(warehouse, make_corpus)(*corpora, ("dev", TARGET, {"role": "target"}))
    return warehouse.folder


def test_rows_that_parse_by_accident_are_left_out_counted_and_reported(accidents, tmp_path):
    made = select(accidents, "dev", [], tmp_path, SelectionOptions(100, exclude_overlap="none"))
    taken = pl.read_parquet(tmp_path / "selection.parquet").group_by("source").agg("sql")
    taken = {source: sorted(texts) for source, texts in taken.iter_rows()}
    assert taken == {dialect: sorted(texts) for dialect, texts in NO_ACCIDENTS.items()}
    counted = dict(made.sources.select("source", "n_accidental").iter_rows())
    assert counted == {"mysql": 7, "sqlite": 1, "tsql": 1, "postgres": 0}
    reported = "left out rows that parse by accident, because a name in them lacks quotes: "
    assert any(note.startswith(f"{reported}7 of mysql, 1 of") for note in made.notes)
    mixture = mix(accidents, "dev")
    assert [note for note in mixture.notes if note.startswith(reported)]


def test_rows_that_parse_by_accident_are_kept_on_demand(accidents, tmp_path):
    options = SelectionOptions(100, exclude_overlap="none", keep_accidental=True)
    made = select(accidents, "dev", [], tmp_path, options)
    n_rows = sum(len(texts) for given in (ACCIDENTS, NO_ACCIDENTS) for texts in given.values())
    assert made.n_taken == n_rows
    assert made.sources["n_accidental"].sum() == 0
    assert not any("accident" in note for note in made.notes)


def test_texts_that_repeat_are_reported(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "warehouse")
    rows = [(f"SELECT a FROM t{min(i, 20)}", COUNT) for i in range(40)]
    runner(warehouse, make_corpus)(("train", rows, {}), ("dev", TARGET, {"role": "target"}))
    made = select(warehouse.folder, "dev", [], tmp_path / "out", SelectionOptions(40))
    reported = "20 of 40 rows have the same text: SELECT a FROM t20"
    assert reported in made.notes


def test_a_corpus_above_its_cap_is_told(folder, tmp_path):
    """Caps are shares of the budget, and --stop takes fewer rows."""
    options = SelectionOptions(40, stop=True, max_share=0.5)
    made = select(folder, "dev", ["near", "far"], tmp_path, options)
    taken = dict(made.sources.select("source", "n_taken_from_source").iter_rows())
    name = max(taken, key=taken.get)
    assert taken[name] > made.n_taken / 2 + 1
    assert [note for note in made.notes if "cap" in note] == [
        f"{taken[name]} of {made.n_taken} rows are of {name}, more than its cap of 0.5, which is a "
        f"share of the budget; --budget {made.n_taken} applies it to these rows"
    ]


@pytest.mark.parametrize(
    ("n_repeats", "named"),
    [(4, None), (5, "5 of copy"), (40, "40 of copy, of which none is left")],
)
def test_a_corpus_that_loses_many_rows_as_repeats_is_told(tmp_path, make_corpus, n_repeats, named):
    warehouse = Warehouse(tmp_path / "warehouse")
    first = some("a", COUNT, 40)
    copy = first[:n_repeats] + some("b", COUNT, 40 - n_repeats)
    asked = {"questions": [str(i) for i in range(40)]}
    runner(warehouse, make_corpus)(
        ("first", first, asked), ("copy", copy, asked), ("dev", TARGET, {"role": "target"})
    )
    options = SelectionOptions(20, exclude_overlap=Overlap.NONE)
    made = select(warehouse.folder, "dev", [], tmp_path / "out", options)
    told = [note for note in made.notes if "earlier row" in note]
    note = f"left out rows whose question and text an earlier row of the sources has: {named}"
    assert told == ([note] if named else [])


def write_weights(path, weights):
    rows = [f"{ordinal},{weight}" for ordinal, weight in enumerate(weights)]
    path.write_text("\n".join(["ordinal,weight", *rows, ""]))
    return path


def test_questions_of_weight_1_give_the_bits_without_weights(folder, tmp_path):
    options = SelectionOptions(30, max_share=0.9)
    plain = select(folder, "dev", [], tmp_path / "plain", options)
    file = write_weights(tmp_path / "weights.csv", [1] * len(TARGET))
    weighted = select(folder, "dev", [], tmp_path / "weighted", options, weights=file)
    for name in ("selection.jsonl", "templates.csv"):
        of_both = [(made.folder / name).read_bytes() for made in (plain, weighted)]
        assert of_both[0] == of_both[1]
    assert (weighted.kl_nats, weighted.pool_alignment) == (plain.kl_nats, plain.pool_alignment)
    assert weighted.curve["kl_nats"].to_list() == plain.curve["kl_nats"].to_list()
    summaries = [
        json.loads((one.folder / "selection.json").read_text()) for one in (plain, weighted)
    ]
    assert "weights" not in summaries[0]
    assert summaries[1]["weights"] == str(file)
    assert "the questions of dev are weighed by weights.csv" in weighted.notes[0]


@pytest.mark.parametrize("method", [Method.DIRECT, Method.GREEDY, Method.IMPORTANCE])
def test_what_weighs_more_is_selected_more(folder, tmp_path, method):
    """Half of the target is JOIN; with weights, all of it is COUNT."""
    file = write_weights(
        tmp_path / "weights.csv", [float(template == COUNT) for _, template in TARGET]
    )
    options = SelectionOptions(20, method=method, exclude_overlap=Overlap.NONE)
    taken = {}
    for name, weights in (("plain", None), ("weighted", file)):
        made = select(folder, "dev", [], tmp_path / name, options, weights=weights)
        lines = (made.folder / "selection.jsonl").read_text().splitlines()
        taken[name] = sum(json.loads(line)["template"] == COUNT for line in lines)
    assert taken["weighted"] > taken["plain"]
    if method == Method.DIRECT:
        assert taken["weighted"] == 20


def test_weights_of_0_alone_are_refused(folder, tmp_path):
    file = write_weights(tmp_path / "weights.csv", [0] * len(TARGET))
    with pytest.raises(ConfigurationError, match="all queries of dev with a template weigh 0"):
        select(folder, "dev", [], tmp_path / "out", SelectionOptions(5), weights=str(file))
