"""The report in a browser: by mouse and keyboard, at the widths of a phone and a desktop."""

import base64
import csv
import re
import shutil

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe

from nl2sql_align.tasks.results.read import matrix
from nl2sql_align.tasks.views.digits import format_interval, format_percent, format_value
from nl2sql_align.tasks.views.report import write_report
from tests.browser.conftest import HOSTILE_MODEL, HOSTILE_NAME, HOSTILE_SQL, WINDOW, settle

pytestmark = pytest.mark.browser

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def drawn(page, chart):
    """Return the marks of a chart that are not text, once it is drawn."""
    settle(page)
    return page.locator(f"{chart} .role-mark:not(.mark-text) path[aria-label]")


def unfold(summaries):
    """Open collapsed sections and wait for their content, which may be drawn only then."""
    for summary in summaries.all():
        summary.click()
        summary.locator("xpath=following-sibling::*").first.wait_for()


def numbers(page):
    settle(page)
    return page.locator("#matrix .role-mark.mark-text text").all_text_contents()


def cells(page):
    return [text.rstrip("*") for text in numbers(page)]


def test_the_first_screen_has_the_answer_for_each_target_and_model(page, published):
    assert page.locator("h1").inner_text() == published.folder.name
    assert page.title() == f"{published.folder.name}: alignment report"
    rows = page.locator("#answer table tbody")
    first = rows.first.inner_text()
    for part in ("dev", "near", "KL-alignment 1.00 (0.95 to 1.00)", "base", "undecided", "gained"):
        assert part in first, part
    assert "near contains 100.0% of the queries of dev" in first
    assert "closest without a doubt: " in first
    assert "selection of 5 rows (direct)" in first
    assert "no answers of models" in rows.nth(1).inner_text()
    assert rows.first.bounding_box()["y"] + rows.first.bounding_box()["height"] < 700


def test_choosing_a_target_shows_its_training_sets(page):
    page.get_by_role("button", name="test", exact=True).click()
    assert page.locator("#target option:checked").inner_text() == "test"
    assert page.locator("#ranking tbody th").first.inner_text() != "near"
    page.select_option("#target", label="dev")
    answer = page.locator("#ranking .answer").inner_text()
    assert answer.startswith("near is the closest, with a KL-alignment of 1.00;")
    row = page.locator("#ranking tbody tr").first
    assert row.locator("th").inner_text() == "near\nnear contains 100.0% of the queries of dev"
    assert row.get_by_label("undecided", exact=True).count() == 1


def test_a_link_opens_the_same_view(opened):
    page = opened()
    page.select_option("#target", label="test")
    page.select_option("#metric", "js_nats")
    page.select_option("#pair-source", label=HOSTILE_NAME)
    page.fill("#find", "a&b=c")
    page.locator("nav").get_by_text("Ratios").click()
    page.wait_for_url(re.compile("#ratios&.+"))
    other = opened(fragment=page.url.partition("#")[2])
    for control in ("#target", "#metric", "#pair-source", "#pair-against", "#find"):
        values = [each.locator(control).input_value() for each in (page, other)]
        assert values[0] == values[1], control
    assert other.locator("#ratios").bounding_box()["y"] < 100
    assert other.locator("nav [aria-current]").inner_text() == "Ratios"
    other = opened(fragment="versions&target=test")
    assert other.locator("#pair-against option:checked").inner_text() == "test"
    assert other.locator("#versions h2").is_visible()
    assert other.locator("#versions h2").bounding_box()["y"] < 900
    other = opened(fragment="target=nobody&find=o&color=red")
    note = other.locator("#unknown").inner_text()
    assert 'target "nobody", color "red"' in note
    assert other.locator("#find").input_value() == "o"


def test_numbers_and_shares_have_the_digits_of_the_terminal(page):
    ends = (0.82, 0.93, 0.98, 0.9996, 0.99997, 1.0, 1.0000001, 1.00003, 1.003, 1.06, 1.2)
    estimates = [(value, None, None) for value in ends]
    estimates += [((low + high) / 2, low, high) for low in ends for high in ends if low <= high]
    script = """rows => rows.map(([value, ci_low, ci_high]) => [
        formatRatio(value, ci_low, ci_high), rounded(value, { ci_low, ci_high }),
        intervalOf({ ci_low, ci_high, alignment_ratio: value })])"""
    expected = [
        [format_value(*one, 1.0), format_value(*one), format_interval(*one[1:], 1.0)]
        for one in estimates
    ]
    assert page.evaluate(script, estimates) == expected
    assert ["0.9999", "1.000", ""] in expected
    shares = [0, 0.0004, 0.001, 0.0649, 0.12, 0.989, 0.9949, 0.9996, 1]
    assert page.evaluate("shares => shares.map(percent)", shares) == [*map(format_percent, shares)]


def test_tables_are_sorted_and_saved_and_charts_too(page):
    values = page.locator("#ranking tbody td:nth-of-type(1)")
    shown = values.all_inner_texts()
    page.locator("#ranking th button", has_text="KL-alignment").click()
    assert values.all_inner_texts() == sorted(shown, reverse=True)
    page.locator("#ranking th button", has_text="KL-alignment").click()
    assert values.all_inner_texts() == sorted(shown)
    assert page.locator("#ranking th[aria-sort='ascending']").inner_text() == "KL-alignment"
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of: KL-alignment of training sets with dev").click()
    with download.value.path().open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [round(float(row["KL-alignment"]), 2) for row in rows] == sorted(map(float, shown))
    assert HOSTILE_NAME in {row["Training set"] for row in rows}
    with page.expect_download() as download:
        page.get_by_role("button", name="PNG of: KL-alignment of rows").click()
    assert download.value.suggested_filename.endswith(".png")
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_the_matrix_shows_the_published_numbers(page, published):
    page.select_option("#order", "listed")
    page.select_option("#columns", "all")
    page.select_option("#metric", "kl_alignment")
    rows = matrix(published.folder)
    assert cells(page) == [f"{value:.2f}" for value in rows["kl_alignment"]]
    marks = [text.endswith("*") for text in numbers(page)]
    assert marks == rows["is_unevenly_parsed"].to_list()
    assert any(marks)
    page.select_option("#metric", "kl_nats")
    assert cells(page) == [f"{abs(value):.2f}" for value in rows["kl_nats"]]
    page.select_option("#direction", "swapped")
    assert cells(page) == [f"{abs(value):.2f}" for value in rows["reverse_kl_nats"]]
    page.select_option("#metric", "template_coverage")
    page.select_option("#direction", "")
    assert cells(page) == [f"{value:.2f}" for value in rows["template_coverage"]]


def test_the_matrix_can_be_narrowed(opened):
    page = opened()
    page.select_option("#columns", "target")
    page.select_option("#rows", "train")
    assert len(cells(page)) == 3 * 2
    page.fill("#find", "NEA")
    assert len(cells(page)) == 2
    page.fill("#find", "nobody")
    assert page.locator("#heat").inner_text().strip().endswith("No corpus matches this choice.")


def test_with_very_many_corpora_only_pairs_with_a_target_are_shown(opened, published, tmp_path):
    whole = opened()
    write_report(published.folder, tmp_path / "many.html", all_pairs_up_to=3)
    page = opened(tmp_path / "many.html")
    assert (
        "the report contains only the pairs with a target" in page.locator("#matrix").inner_text()
    )
    assert page.locator("#columns option").all_inner_texts() == ["target"]
    for direction in ("", "swapped"):
        for each in (whole, page):
            each.select_option("#rows", "all")
            each.select_option("#columns", "target")
            each.select_option("#direction", direction)
        assert len(cells(page)) == 6 * 2
        assert cells(page) == cells(whole)
    drawn(page, "#matrix").first.hover()
    assert "NaN" not in page.locator("#tip").inner_text()
    page.select_option("#pair-source", label="near")
    page.select_option("#pair-against", label="far")
    assert "is not in the report" in page.locator("#differences").inner_text()


def test_the_matrix_is_also_a_table(page, published):
    page.select_option("#order", "listed")
    page.select_option("#columns", "all")
    page.select_option("#metric", "kl_alignment")
    unfold(page.locator("#matrix summary"))
    shown = page.locator("#matrix tbody td").all_inner_texts()
    alignments = matrix(published.folder)["kl_alignment"]
    assert [text.rstrip("*") for text in shown] == [f"{value:.3f}" for value in alignments]


def test_mouse_and_keyboard_show_all_measures_of_a_cell(opened):
    page = opened()
    tip = page.locator("#tip")
    marks = drawn(page, "#matrix")
    assert marks.first.get_attribute("aria-label").endswith(": 1.000")
    marks.nth(1).hover()
    assert "Exact overlap" in tip.inner_text()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    marks.first.focus()
    before = tip.inner_text()
    page.keyboard.press("ArrowDown")
    assert tip.is_visible()
    assert tip.inner_text() != before
    # The Tab key stops once, at the cell that had the focus last.
    assert page.locator("#matrix path[tabindex='0']").count() == 1
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    n_columns = page.locator("#columns").evaluate("() => inOrder(state.columns).length")
    assert focused == marks.nth(n_columns).get_attribute("aria-label")


def test_a_tooltip_never_covers_its_row(opened):
    page = opened(viewport={"width": 800, "height": 500})
    marks = drawn(page, "#matrix")
    for i in (0, marks.count() // 2, marks.count() - 1):
        marks.nth(i).scroll_into_view_if_needed()
        marks.nth(i).hover()
        cell, tip = marks.nth(i).bounding_box(), page.locator("#tip").bounding_box()
        assert tip["y"] + tip["height"] <= cell["y"] or tip["y"] >= cell["y"] + cell["height"]
        assert tip["y"] >= 0


def test_a_click_in_the_matrix_shows_at_once_why_the_pair_differs(opened):
    page = opened()
    page.select_option("#order", "listed")
    page.select_option("#columns", "target")
    marks = drawn(page, "#matrix")
    marks.nth(2).click()
    panel = page.get_by_role("dialog", name="far compared with dev")
    text = panel.inner_text()
    assert "window functions\t69%\t0%" in text
    assert "more in far" in text
    assert "more in dev" in text
    cell, box = marks.nth(2).bounding_box(), panel.bounding_box()
    assert box["y"] + box["height"] <= cell["y"] or box["y"] >= cell["y"] + cell["height"]
    panel.get_by_role("button", name="All differences").click()
    assert panel.is_hidden()
    assert page.locator("#pair-source option:checked").inner_text() == "far"
    assert page.locator("#differences").bounding_box()["y"] < 100


def test_enter_in_the_matrix_chooses_the_pair_to_explain(opened):
    page = opened()
    page.select_option("#order", "listed")
    page.select_option("#columns", "target")
    drawn(page, "#matrix").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#pair-source option:checked").inner_text() == "far"
    assert page.locator("#pair-against option:checked").inner_text() == "dev"
    assert page.locator("#pair").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#pair").is_hidden()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("far with")


def test_any_pair_can_be_explained_by_ngrams_and_structures(opened):
    page = opened()
    page.select_option("#pair-source", label="far")
    page.select_option("#pair-against", label="dev")
    bars = drawn(page, "#differences .differences")
    middle = page.locator(
        "#differences .differences .mark-rule.role-mark line"
    ).first.bounding_box()["x"]
    is_right = [bar.bounding_box()["x"] > middle - 2 for bar in bars.all()]
    listed = page.locator("#bars > details")
    assert is_right == [node.get_attribute("class") == "over" for node in listed.all()]
    assert is_right.count(True) >= 1
    assert is_right.count(False) >= 2
    assert "OVER" in bars.first.get_attribute("aria-label")
    bars.first.click()
    listed.first.get_by_text("Example query from far:").wait_for()
    windows = page.locator("#differences .structures path[aria-label^='window functions']")
    assert [w.get_attribute("aria-label").split("; ")[0] for w in windows.all()] == [
        "window functions: 69% of the queries of far, 0.69 per query",
        "window functions: 0% of the queries of dev, 0.00 per query",
    ]
    windows.first.click()
    example = page.locator("#pairs details[open]").inner_text()
    assert "window functions 69% of far, 0% of dev" in example
    assert f"A query of far with it:\n-- {WINDOW}" in example
    assert "No query of dev uses it." in example
    assert drawn(page, "#templates").count() == 6
    page.get_by_role("button", name="Swap").first.click()
    settle(page)
    assert "OVER" in page.locator("#bars > details.under").first.inner_text()


def test_ratios_are_on_the_correct_side_of_the_line_at_one(page):
    figure = page.locator("#ratios .panel")
    assert figure.count() == 1
    one = figure.locator(".mark-rule.role-mark line").first.bounding_box()["x"]
    dots = drawn(page, "#ratios .panel").all()
    assert len(dots) == 3
    for dot in dots:
        ratio = float(re.search(r": ([0-9.]+) ", dot.get_attribute("aria-label"))[1])
        box = dot.bounding_box()
        assert (box["x"] + box["width"] / 2 > one) == (ratio > 1)
    unfold(figure.locator("summary"))
    assert figure.locator("tbody tr").count() == 3
    page.select_option("#answers", "tuned")
    assert "no answers of this kind" in page.locator("#ratios").inner_text()


def test_recorded_decisions_are_shown(page):
    assert page.locator("#decisions h3").all_inner_texts() == [
        "How many queries of dev are enough",
        "Rows selected for dev",
        "The best mixture for dev",
    ]
    assert page.locator("#decisions .chart svg").count() == 3
    unfold(page.locator("#decisions summary"))
    assert page.locator("#decisions tbody tr").count() > 6


def test_a_selection_for_weighted_questions_says_so(opened, published, tmp_path):
    folder = shutil.copytree(published.folder, tmp_path / "copy")
    with duckdb.connect(str(folder / "alignment.duckdb")) as con:
        con.execute('update selections set parameters = \'{"weights": "errors.csv"}\'')
    write_report(folder, tmp_path / "weighted.html")
    page = opened(tmp_path / "weighted.html")
    answer = page.locator("#answer table tbody").first.inner_text()
    assert "selection of 5 rows (direct, weighted questions)" in answer
    assert "Method direct, weighted questions: KL-" in page.locator("#decisions").inner_text()


def test_hostile_names_and_queries_stay_text(opened):
    page = opened()
    page.select_option("#pair-source", label=HOSTILE_NAME)
    page.select_option("#pair-against", label="dev")
    unfold(page.locator("#differences summary"))
    text = page.locator("main").inner_text()
    assert HOSTILE_SQL in text
    assert HOSTILE_NAME in text
    assert HOSTILE_MODEL in text
    assert page.locator("main img, main script, main b, main i").count() == 0
    assert page.locator("script").count() == 3
    assert page.evaluate("window.broken") is None


def test_the_policy_blocks_an_injected_script(chromium, report):
    page = chromium.new_page()
    page.goto(report.as_uri())
    blocked = page.evaluate(
        """() => new Promise((resolve) => {
            const report = (event) => resolve(event.effectiveDirective);
            document.addEventListener("securitypolicyviolation", report);
            const script = document.createElement("script");
            script.textContent = "window.broken = 1";
            document.body.append(script);
            setTimeout(() => resolve(null), 2000);
        })"""
    )
    assert blocked == "script-src-elem"
    assert page.evaluate("window.broken") is None
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_fits_is_not_blank_and_can_be_read_by_everyone(opened, size, scheme):
    page = opened(viewport=size, color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    serious = {
        one["id"]: [node["html"][:200] for node in one["nodes"][:3]]
        for one in found
        if one["impact"] in ("serious", "critical")
    }
    assert serious == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for section in page.locator("main > section:not([hidden])").all():
        box = section.bounding_box()
        assert box["height"] > 80, section.get_attribute("id")
        assert box["x"] + box["width"] <= size["width"]
    back = (255, 255, 255) if scheme == "light" else (21, 23, 27)
    colors = page.evaluate(COLORS, base64.b64encode(page.screenshot()).decode())
    assert colors["corner"] == list(back)
    assert colors["different"] > 20
    # Numbers on every shade of the matrix can be read.
    assert page.evaluate(LEAST_CONTRAST) >= 4.3


def test_controls_are_not_printed(opened):
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("#matrix .tools").is_hidden()
    assert page.locator("nav").is_hidden()
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(255, 255, 255)"
    # Each printed figure names its measure, target and direction.
    captions = page.locator("figcaption").all_inner_texts()
    assert "KL-alignment of rows (sources) with columns (targets)" in captions
    assert "KL-alignment of training sets with dev, with 95% intervals" in captions
    assert page.locator("#ranking caption").first.is_visible()
    chart = page.locator("#matrix .chart")
    assert chart.evaluate("node => getComputedStyle(node).overflowX") == "visible"
    ink = page.locator("#matrix .role-axis-label text").first
    assert ink.evaluate("node => getComputedStyle(node).fill") == "rgb(0, 0, 0)"


COLORS = """async (png) => {
    const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const { data } = canvas.getImageData(0, 0, image.width, image.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join());
    return { corner: [...data.slice(0, 3)], different: seen.size };
}"""

# The contrast by WCAG's formula, over the shades of the scale
LEAST_CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const probe = document.querySelector("#matrix .mark-text text").cloneNode(true);
    document.querySelector("#matrix svg").append(probe);
    const pixel = (color) => {
        probe.setAttribute("fill", color);
        canvas.fillStyle = getComputedStyle(probe).fill;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].map((x) => x / 255);
    };
    const part = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const [cell, text] = data.charts.heat.layer.map((layer) => layer.encoding.color.scale);
    let least = 99;
    cell.range.forEach((shade, i) => {
        for (const share of [i / cell.range.length, (i + 0.999) / cell.range.length]) {
            const at = text.domain.filter((from) => share >= from).length;
            const both = [shade, text.range[at]].map(pixel).map(light);
            least = Math.min(least, (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05));
        }
    });
    return least;
}"""
