"""Results in a notebook: frames, and an HTML table that is safe to display."""

from html.parser import HTMLParser

import duckdb
import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError, WarehouseError
from nl2sql_align.tasks.views.notebook import load
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests.unit.results.test_publish import ALL, runner


class Table(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.cells = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


@pytest.fixture
def results(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "<i>w</i>")
    runner(warehouse, make_corpus)(*ALL)
    return load(warehouse.folder)


def test_it_displays_the_matrix_with_escaped_names(results):
    with duckdb.connect(str(Warehouse(results.warehouse).database)) as con:
        con.execute("update corpora set corpus = '<script>' where corpus = 'train'")
        con.execute("update alignment set source = '<script>' where source = 'train'")
        con.execute("update alignment set target = '<script>' where target = 'train'")
    table = Table()
    table.feed(results._repr_html_())
    assert table.tags == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    matrix = results.matrix()
    assert table.cells == [
        *("", "dev"),
        *(cell for name, value in matrix.iter_rows() for cell in (name, f"{value:.3f}")),
    ]
    assert "<script>" in table.cells


def test_frames_have_the_rows_of_the_tables(results):
    assert results.corpora["corpus"].to_list() == [name for name, *_ in ALL]
    assert len(results.alignment) == 16
    assert results.matrix(all_targets=True).shape == (4, 5)
    assert results.matrix("js_nats").columns == ["source", "dev"]
    assert results.ratios.columns[:2] == ["train", "target"]
    assert len(results.table("runs")) == 1


def test_an_unknown_table_measure_or_warehouse_is_an_error(results, tmp_path):
    with pytest.raises(ConfigurationError, match="no table 'nothing'; use one of alignment"):
        results.table("nothing")
    with pytest.raises(ConfigurationError, match="no measure 'size'"):
        results.matrix("size")
    with pytest.raises(WarehouseError, match="does not exist"):
        load(tmp_path / "nowhere")


def test_charts_are_shown_as_vega_lite_or_svg(results):
    chart = results.plot_matrix("js_nats")
    shown = chart._repr_mimebundle_()
    spec = shown["application/vnd.vegalite.v6+json"]
    assert spec["$schema"].endswith("/vega-lite/v6.json")
    values = {(row["source"], row["target"]): row["value"] for row in spec["datasets"]["rows"]}
    matrix = results.matrix("js_nats")
    assert values == {(source, "dev"): value for source, value in matrix.iter_rows()}
    assert shown["image/svg+xml"].startswith("<svg")
    ratios = results.plot_ratios()
    assert {row["label"] for row in ratios.spec["datasets"]["rows"]} == {"train"}
    # The title alone, also of a chart with a subtitle
    text = ratios._repr_mimebundle_()["text/plain"]
    assert text == "Chart: Alignment Ratio on dev, with 95% intervals"
    assert "train" in str(results.plot_differences().spec["title"])
    with pytest.raises(ConfigurationError, match="nothing to draw yet"):
        results.plot_budget()
    with pytest.raises(ConfigurationError, match="nothing to draw yet"):
        results.plot_sample_sizes()
