"""Pictures: every kind in every format, with the published numbers."""

import re
import shutil
import struct
from datetime import UTC, datetime
from xml.etree import ElementTree

import duckdb
import pytest
from typer.testing import CliRunner

from nl2sql_align.flows.cli import app
from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.decisions.sample_size import sample_size
from nl2sql_align.tasks.decisions.selection import SelectionOptions, select
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.publish import RunRecord, publish
from nl2sql_align.tasks.results.read import matrix
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.views.options import Picture
from nl2sql_align.tasks.views.pictures import build_budget, build_picture, plot, read_width
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
    """Return a folder of results with everything that can be drawn; tests must not change it."""
    warehouse = Warehouse(tmp_path_factory.mktemp("drawn") / "w")
    corpora = [make_corpus(warehouse.folder, name, some, **keys) for name, some, keys in CORPORA]
    matrix = steps.measure_pairs(corpora, warehouse)
    intervals = steps.resample_pairs(corpora, matrix, warehouse, Resampling(50, "query"))
    record = RunRecord("run", datetime(2026, 1, 1, tzinfo=UTC), {}, {"duckdb": "2"})
    publish(warehouse, corpora, matrix.pairs, matrix.contributions, record, intervals)
    sample_size(warehouse.folder, "dev", n_trials=5)
    select(warehouse.folder, "dev", (), warehouse.folder.parent / "chosen", SelectionOptions(5))
    return warehouse.folder


def texts_of(svg):
    return [node.text for node in ElementTree.fromstring(svg.read_bytes()).iter() if node.text]


@pytest.mark.parametrize("kind", Picture)
def test_each_kind_is_drawn_in_each_format(folder, tmp_path, kind):
    for suffix, start in STARTS.items():
        out = plot(folder, kind, tmp_path / f"picture{suffix}", target="dev")
        assert out.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir() if "tmp" in file.name] == []
    assert any("dev" in text for text in texts_of(tmp_path / "picture.svg"))


def test_the_matrix_shows_the_published_numbers(folder, tmp_path):
    texts = texts_of(plot(folder, "matrix", tmp_path / "m.svg", metric="js_nats"))
    rows = matrix(folder)
    to_targets = rows.filter(rows["target_role"] == "target")
    numbers = [f"{value:.2f}" for value in to_targets["js_nats"]]
    assert [text for text in numbers if text not in texts and f"{text}*" not in texts] == []
    assert {"near", "far", "base", "dev"} <= set(texts)


def test_the_matrix_marks_unequal_shares_of_parsed_queries_and_has_a_legend(folder, tmp_path):
    texts = texts_of(plot(folder, "matrix", tmp_path / "m.svg"))
    rows = matrix(folder).filter(target_role="target", is_unevenly_parsed=True)
    assert len(rows)
    assert {f"{value:.2f}*" for value in rows["kl_alignment"]} <= set(texts)
    assert "* much less of one corpus parses than of the other" in texts
    assert [texts[i : i + 3] for i, text in enumerate(texts) if text == "0.37"][-1:] == [
        ["0.37", "0.68", "1.00"]
    ]


@pytest.mark.parametrize("kind", Picture)
def test_a_picture_has_the_width_of_a_printed_column(folder, tmp_path, kind):
    svg = plot(folder, kind, tmp_path / "p.svg", target="dev", width="single").read_text()
    size = re.search(r'width="([0-9.]+)mm" height="([0-9.]+)mm" viewBox="0 0 ([0-9.]+) ', svg)
    assert float(size[1]) == 84
    # Text of 12 pixels in the picture has about 7.5 points on paper.
    assert 5.5 < 12 * 84 / 25.4 * 72 / float(size[3]) < 9


def test_all_formats_have_the_given_width_and_pdf_files_contain_their_fonts(folder, tmp_path):
    png = plot(folder, "ratios", tmp_path / "p.png", width=100).read_bytes()
    assert struct.unpack(">I", png[16:20])[0] == pytest.approx(100 / 25.4 * 300, abs=2)
    pdf = plot(folder, "ratios", tmp_path / "p.pdf", width="double").read_bytes()
    [box] = re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ", pdf)
    assert float(box) == pytest.approx(174 / 25.4 * 72, abs=0.1)
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("width", ["triple", "0", "nan", "84cm", "5000"])
def test_other_widths_are_refused(width):
    with pytest.raises(ConfigurationError, match="is not a width; use single or double, or mill"):
        read_width(width)
    assert read_width("84mm") == read_width("84") == read_width("single") == 84


def test_the_same_results_give_the_same_picture(folder, tmp_path):
    first = plot(folder, "ratios", tmp_path / "a.svg").read_bytes()
    assert plot(folder, "ratios", tmp_path / "b.svg").read_bytes() == first


def test_differences_default_to_the_closest_training_set(folder, tmp_path):
    texts = texts_of(plot(folder, "differences", tmp_path / "d.svg"))
    assert "Structures whose shares differ most in near and dev" in texts
    texts = texts_of(plot(folder, "differences", tmp_path / "d.svg", target="dev", source="far"))
    assert "Structures whose shares differ most in far and dev" in texts
    assert {"far", "dev"} <= set(texts)


def test_differences_are_different_things_with_the_shares_of_both_sides(folder):
    rows = build_picture(folder, "differences", target="dev", source="far")["datasets"]["rows"]
    shares = {}
    for row in rows:
        shares.setdefault(row["feature"], []).append((row["side"], row["text"]))
    # Related ones with the same shares are left out: JOIN without INNER, IN, GROUP BY, HAVING
    assert shares == {
        "subqueries": [("source", "71%"), ("target", "9.1%")],
        "joins": [("source", "0%"), ("target", "45%")],
        "aggregate functions": [("source", "0%"), ("target", "45%")],
        "conditions": [("source", "71%"), ("target", "100%")],
    }


def test_a_pair_with_the_same_structures_has_no_picture_of_differences(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path)
    run = runner(warehouse, make_corpus)
    one, other = ["SELECT LOWER ( ) FROM"], ["SELECT UPPER ( ) FROM"]
    run(("one", one, {}), ("other", other, {"role": "target"}))
    with pytest.raises(ConfigurationError, match="equally often; for their n-grams, run: nl2sql-"):
        plot(tmp_path, "differences", tmp_path / "d.svg")


def test_options_without_a_picture_are_errors(folder, tmp_path, make_corpus):
    def error_of(kind, name="a.svg", where=folder, **options):
        with pytest.raises((ConfigurationError, WarehouseError)) as error:
            plot(where, kind, tmp_path / name, **options)
        return str(error.value)

    assert (
        "'a.gif' is not the name of a picture; use one that ends in .png, .svg, .pdf"
        in error_of("matrix", "a.gif")
    )
    assert "use one of matrix, ratios" in error_of("pie")
    assert "no measure 'size'" in error_of("matrix", metric="size")
    assert "nothing to draw for 'nobody'; use one of dev" in error_of("ratios", target="nobody")
    assert "cannot be written" in error_of("matrix", "x" * 300 + ".svg")
    plain = Warehouse(tmp_path / "plain")
    runner(plain, make_corpus)(CORPORA[0])
    assert "needs a corpus with the role train and predictions" in error_of(
        "ratios", where=plain.folder
    )
    assert "nl2sql-align select" in error_of("budget", where=plain.folder)
    assert "nl2sql-align sample-size" in error_of("sample-size", where=plain.folder)
    assert "name a corpus with --source" in error_of("differences", where=plain.folder)


def test_a_budget_for_weighted_questions_says_so(folder, tmp_path):
    shutil.copyfile(folder / "alignment.duckdb", tmp_path / "alignment.duckdb")
    with duckdb.connect(str(tmp_path / "alignment.duckdb")) as con:
        con.execute('update selections set parameters = \'{"weights": "errors.csv"}\'')
    titles = [
        build_budget(place, "dev", None, "kl_alignment")["title"] for place in (folder, tmp_path)
    ]
    assert titles == [
        "Alignment of selected rows with dev",
        "Alignment of selected rows with dev (weighted questions: direct)",
    ]


def test_the_command_names_the_picture_that_it_draws(folder, tmp_path):
    out = tmp_path / "m.svg"
    for kind, title in (
        ("differences", "Structures whose shares differ most in near and dev"),
        ("ratios", "Alignment Ratio on dev, with 95% intervals"),
    ):
        place = folder / "alignment.duckdb"
        result = CliRunner().invoke(app, ["plot", kind, str(place), "-o", str(out)])
        assert result.exit_code == 0
        assert out.is_file()
        assert " ".join(result.output.split()) == f"{title} Picture: {out}"
