"""Pictures: every kind in every format, with what the results say."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from nl2sql_align.flows.cli import app
from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.decisions.sample_size import sample_size
from nl2sql_align.tasks.decisions.selection import Options, select
from nl2sql_align.tasks.measures.intervals import Resampling
from nl2sql_align.tasks.results.publish import RunRecord, publish
from nl2sql_align.tasks.results.read import matrix
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.views.pictures import KINDS, plot
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.unit.results.test_publish import BASE_CORPUS, runner

JOINED = "SELECT FROM JOIN ON = WHERE ="
COUNTED = "SELECT COUNT ( * ) FROM GROUP BY HAVING COUNT ( * ) >"
NESTED = "SELECT FROM WHERE IN ( SELECT FROM WHERE < )"
CORPORA = (
    ("near", [JOINED] * 6 + [COUNTED] * 4 + ["SELECT FROM"], {}),
    ("far", [NESTED] * 5 + ["SELECT FROM"] * 2, {}),
    ("dev", [JOINED] * 5 + [COUNTED] * 5 + [NESTED], {"role": "target"}),
    BASE_CORPUS,
)
STARTS = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<svg", ".pdf": b"%PDF-"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_corpus):
    """The folder of results with all that can be drawn; not to be changed."""
    warehouse = Warehouse(tmp_path_factory.mktemp("drawn") / "w")
    corpora = [make_corpus(warehouse.folder, name, some, **keys) for name, some, keys in CORPORA]
    matrix = steps.measure(corpora, warehouse)
    intervals = steps.resample(corpora, matrix, warehouse, Resampling(50, "query"))
    record = RunRecord("run", datetime(2026, 1, 1, tzinfo=UTC), {}, {"duckdb": "2"})
    publish(warehouse, corpora, matrix.pairs, matrix.contributions, record, intervals)
    sample_size(warehouse.folder, "dev", n_trials=5)
    select(warehouse.folder, "dev", (), warehouse.folder.parent / "chosen", Options(5))
    return warehouse.folder


def texts(svg):
    return [node.text for node in ElementTree.fromstring(svg.read_bytes()).iter() if node.text]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_drawn_in_each_format(folder, tmp_path, kind):
    for suffix, start in STARTS.items():
        out = plot(folder, kind, tmp_path / f"picture{suffix}", target="dev")
        assert out.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir() if "tmp" in file.name] == []
    assert any("dev" in text for text in texts(tmp_path / "picture.svg"))


def test_the_matrix_has_the_published_numbers(folder, tmp_path):
    said = texts(plot(folder, "matrix", tmp_path / "m.svg", metric="js_nats"))
    rows = matrix(folder)
    to_targets = rows.filter(rows["target_role"] == "target")
    numbers = [f"{value:.2f}" for value in to_targets["js_nats"]]
    assert [text for text in numbers if text not in said] == []
    assert {"near", "far", "base", "dev"} <= set(said)


def test_the_same_results_give_the_same_picture(folder, tmp_path):
    first = plot(folder, "ratios", tmp_path / "a.svg").read_bytes()
    assert plot(folder, "ratios", tmp_path / "b.svg").read_bytes() == first


def test_differences_are_of_the_closest_training_set_unless_another_is_named(folder, tmp_path):
    said = texts(plot(folder, "differences", tmp_path / "d.svg"))
    assert "What near (right) and dev (left) have more of" in said
    said = texts(plot(folder, "differences", tmp_path / "d.svg", target="dev", source="far"))
    assert "What far (right) and dev (left) have more of" in said


def test_what_cannot_be_drawn_is_told(folder, tmp_path, make_corpus):
    def told(kind, name="a.svg", where=folder, **options):
        with pytest.raises((ConfigurationError, WarehouseError)) as error:
            plot(where, kind, tmp_path / name, **options)
        return str(error.value)

    assert "ends in .png, .svg, .pdf, not 'a.gif'" in told("matrix", "a.gif")
    assert "there are: matrix, ratios" in told("pie")
    assert "no measure 'size'" in told("matrix", metric="size")
    assert "nothing to draw for 'nobody'; there are: dev" in told("ratios", target="nobody")
    assert "cannot be written" in told("matrix", "x" * 300 + ".svg")
    plain = Warehouse(tmp_path / "plain")
    runner(plain, make_corpus)(CORPORA[0])
    assert "needs a corpus with the role train and predictions" in told(
        "ratios", where=plain.folder
    )
    assert "nl2sql-align select" in told("budget", where=plain.folder)
    assert "nl2sql-align sample-size" in told("sample-size", where=plain.folder)
    assert "name what differs" in told("differences", where=plain.folder)


def test_the_command_draws(folder, tmp_path):
    out = tmp_path / "m.svg"
    result = CliRunner().invoke(app, ["plot", "matrix", str(folder), "-o", str(out)])
    assert result.exit_code == 0
    assert out.is_file()
