"""Reading published results, and the errors if there are none."""

from datetime import UTC, datetime

import duckdb
import pytest

from nl2sql_align.tasks.base.errors import (
    AlignError,
    ConfigurationError,
    RequirementError,
    WarehouseError,
)
from nl2sql_align.tasks.measures.matrix import Content, compute_matrix
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.options import Metric
from nl2sql_align.tasks.results.publish import RunRecord, publish
from nl2sql_align.tasks.results.read import matrix, ratio, rejects
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.views.report import write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse

QUERIES = {
    "zoo-train": ["SELECT FROM", "SELECT FROM WHERE ="],
    "animals": ["SELECT COUNT ( * ) FROM", "DELETE FROM"],
    "dev": ["SELECT FROM", "SELECT FROM WHERE ="],
    "base": [("first", None), ("select from", "SELECT FROM"), ("", None)],
}


def publish_results(folder, make_corpus, queries=QUERIES):
    keys = {
        "dev": {"role": "target"},
        "base": {"role": "predictions", "target": "dev"},
    }
    corpora = [
        make_corpus(folder, name, some, **keys.get(name, {})) for name, some in queries.items()
    ]
    contents = [
        Content(c.content_key, c.entry.name, c.ngrams, c.templates, c.entry.role == "target")
        for c in corpora
    ]
    report = compute_matrix(contents, folder / "stages" / "pairs")
    record = RunRecord("run", datetime.now(UTC), {}, {})
    publish(Warehouse(folder), corpora, report.pairs, report.contributions, record)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, make_corpus):
    folder = tmp_path_factory.mktemp("published") / "warehouse"
    publish_results(folder, make_corpus)
    return folder


@pytest.mark.parametrize(
    "use", [matrix, ratio, write_report, lambda folder: explain(folder, "zoo-train", "dev")]
)
def test_results_of_another_version_are_an_error(use, tmp_path, make_corpus):
    publish_results(tmp_path, make_corpus)
    with duckdb.connect(str(Warehouse(tmp_path).database)) as con:
        con.execute("""update runs set versions = '{"publish": "1"}'""")
    with pytest.raises(WarehouseError, match="another version of nl2sql-align; run it again: "):
        use(tmp_path)


def test_the_matrix_has_every_pair_in_the_order_of_the_corpora_file(warehouse):
    rows = matrix(warehouse)
    pairs = [(source, target) for source in QUERIES for target in QUERIES]
    assert rows.select("source", "target").rows() == pairs
    assert set(Metric) | {"ci_low", "ci_high", "target_ceiling"} <= set(rows.columns)
    roles = {"zoo-train": "train", "animals": "train", "dev": "target", "base": "predictions"}
    assert rows.select("source_role", "target_role").rows() == [
        (roles[source], roles[target]) for source, target in pairs
    ]


def test_the_ratios_start_with_the_closest_training_set(warehouse):
    rows = ratio(warehouse)
    assert rows.select("train", "predictions").rows() == [
        ("zoo-train", "base"),
        ("animals", "base"),
    ]
    ratios = rows["alignment_ratio"].to_list()
    assert ratios[0] > 1 > ratios[1]


def test_ratios_and_pairs_can_be_chosen_by_name(warehouse):
    everything = ratio(warehouse)
    chosen = ratio(warehouse, targets=["dev"], models=["base"], trains=["animals"])
    assert chosen.rows() == everything.filter(train="animals").rows() != []
    assert ratio(warehouse, models=everything["model"].to_list()).rows() == everything.rows()
    assert ratio(warehouse, top=1).rows() == everything.head(1).rows()
    pairs = matrix(warehouse, targets=["dev"], trains=["animals"], models=["base"])
    assert pairs.select("source", "target").rows() == [("animals", "dev"), ("base", "dev")]
    closest = matrix(warehouse, targets=["dev"], top=1, metric="js_nats")
    assert closest["source"].to_list() == ["zoo-train"]


@pytest.mark.parametrize("read", [matrix, ratio])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"targets": ["dve"]}, "no target 'dve' among these results; did you mean 'dev'?"),
        ({"models": ["Base"]}, "no model 'Base' among these results; did you mean 'base'?"),
        ({"trains": ["x"]}, "no training set 'x' among these results; use one of "),
    ],
)
def test_an_unknown_name_is_an_error_with_a_suggestion(warehouse, read, names, message):
    with pytest.raises(ConfigurationError) as caught:
        read(warehouse, **names)
    assert str(caught.value).startswith(message)


def test_the_rejects_are_in_order_with_reasons(warehouse):
    assert rejects(warehouse, "base").rows() == [
        (0, "does not parse", "first", 1),
        (2, "does not parse", "", 1),
    ]
    assert rejects(warehouse, "dev").is_empty()


@pytest.mark.parametrize(
    ("read", "require"),
    [
        (matrix, "kl_alignment between 1/exp(1) and 1"),
        (matrix, "target_role != 'target' or source != 'zoo-train' or kl_alignment > 0.99"),
        (ratio, "alignment_ratio > 0 -- always"),
    ],
)
def test_a_condition_that_every_row_satisfies_changes_nothing(warehouse, read, require):
    assert read(warehouse, require).equals(read(warehouse))


@pytest.mark.parametrize(
    ("read", "require", "message"),
    [
        (
            matrix,
            "kl_alignment > 0.999999 or source = target",
            "required: kl_alignment > 0.999999 or source = target; it fails for 10 of 16 rows, "
            "the first: zoo-train, animals",
        ),
        (
            ratio,
            "alignment_ratio > 1",
            "required: alignment_ratio > 1; it fails for 1 of 2 rows, "
            "the first: animals, dev, model, base",
        ),
        # A null condition is not satisfied.
        (
            ratio,
            "trained_on = 'dev'",
            "required: trained_on = 'dev'; it fails for 2 of 2 rows, "
            "the first: zoo-train, dev, model, base",
        ),
    ],
)
def test_a_condition_that_a_row_does_not_satisfy_is_an_error(warehouse, read, require, message):
    with pytest.raises(RequirementError) as error:
        read(warehouse, require)
    assert str(error.value) == message
    assert error.value.exit_code == 4


def test_a_condition_without_rows_is_not_satisfied(tmp_path, make_corpus):
    publish_results(tmp_path, make_corpus, {"dev": QUERIES["dev"]})
    assert ratio(tmp_path).is_empty()
    with pytest.raises(RequirementError, match=r"alignment_ratio > 1; there are no rows$"):
        ratio(tmp_path, "alignment_ratio > 1")


@pytest.mark.parametrize(
    "require",
    [
        "kl_alignment >",
        "",
        "kl_alignment > 1) or (true",
        "true; drop table alignment",
        "kl_alignment > 'x'",
        "cast(source as integer) > 1",
        "max(kl_alignment) > 1",
        "kl_alignment > 1, true",
        "$1 > 2",
        "?",
        "(select error('no')) is null",
        "kl_alignment > (from alignment)",
    ],
)
def test_an_invalid_condition_is_an_error_in_one_line(warehouse, require):
    with pytest.raises(ConfigurationError, match=r"^--require: ") as error:
        matrix(warehouse, require)
    assert not isinstance(error.value, RequirementError)
    assert error.value.exit_code == 2
    assert len(str(error.value).splitlines()) == 1
    assert "the columns are: source, target, kl_nats, " in str(error.value)


def test_a_condition_on_a_misspelled_column_names_the_closest(warehouse):
    with pytest.raises(ConfigurationError) as error:
        matrix(warehouse, "kl_aligment > 1")
    assert str(error.value) == ("--require: no column 'kl_aligment'; did you mean 'kl_alignment'?")
    with pytest.raises(ConfigurationError, match="no column 'x'; use one of source, target, kl_n"):
        matrix(warehouse, "x > 1")


def test_a_missing_corpus_is_an_error(warehouse):
    with pytest.raises(ConfigurationError, match=r"no corpus 'bas' in .*; did you mean 'base'\?"):
        rejects(warehouse, "bas")


@pytest.mark.parametrize(
    "read", [open_results, matrix, ratio, lambda folder: rejects(folder, "base")]
)
def test_a_folder_without_results_is_an_error(tmp_path, read):
    message = r"contains no results .* nl2sql-align run CORPORA.toml --warehouse /"
    with pytest.raises(WarehouseError, match=message):
        read(tmp_path)
    with pytest.raises(WarehouseError, match=r"missing does not exist; check the name"):
        read(tmp_path / "missing")
    (tmp_path / "alignment.duckdb").mkdir()
    with pytest.raises(WarehouseError, match=r"contains no results"):
        read(tmp_path)
    (tmp_path / "dev.json").write_text("[]")
    for place in (tmp_path, tmp_path / "dev.json"):
        # A run would refuse this folder, too.
        with pytest.raises(WarehouseError, match=r"is not a warehouse .* in another folder"):
            read(place)
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("content", [b"", b"SELECT 1\n" * 1000], ids=["empty", "text"])
def test_a_file_that_is_not_a_database_is_an_error(tmp_path, content):
    (tmp_path / "alignment.duckdb").write_bytes(content)
    with pytest.raises(WarehouseError, match=r"cannot be read \(.*\); remove it and run again$"):
        matrix(tmp_path)
    assert (tmp_path / "alignment.duckdb").read_bytes() == content


@pytest.mark.parametrize("read", [matrix, ratio, lambda folder: rejects(folder, "base")])
def test_a_database_of_another_program_is_an_error(tmp_path, read):
    with duckdb.connect(str(tmp_path / "alignment.duckdb")) as con:
        con.execute("create table other as select 1 as x")
    with pytest.raises(WarehouseError, match=r"another program's database; move it, or choose"):
        read(tmp_path)


def test_results_cannot_be_changed(warehouse):
    with open_results(warehouse) as con:
        for statement in ("drop table corpora", "create table x as select 1", "delete from runs"):
            with pytest.raises(duckdb.Error, match=r"read-only"):
                con.execute(statement)


def test_reading_leaves_nothing_behind(warehouse):
    before = sorted(warehouse.rglob("*"))
    matrix(warehouse, "true")
    with pytest.raises(AlignError):
        matrix(warehouse, "false")
    assert sorted(warehouse.rglob("*")) == before


def test_readers_get_the_results_published_last(tmp_path, make_corpus):
    publish_results(tmp_path, make_corpus)
    with open_results(tmp_path) as reader:
        publish_results(tmp_path, make_corpus, {"dev": QUERIES["dev"]})
        assert len(matrix(tmp_path)) == 1
        assert reader.sql("select count(*) from alignment").fetchall() == [(16,)]
