"""The report as people see it: in a browser, by mouse and keyboard, at the widths they use."""

import base64

import pytest

from tasks.results import matrix
from tests.browser.conftest import HOSTILE_MODEL, HOSTILE_NAME, HOSTILE_SQL

pytestmark = pytest.mark.browser

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def cells(page):
    return [text.rstrip("*") for text in page.locator("#matrix td").all_inner_texts()]


def test_the_first_answer_names_the_closest_training_set_and_its_verdict(opened):
    page = opened()
    assert page.locator("#ranking .answer").inner_text().startswith("near is the closest, at 0.9")
    assert "A gain is to be expected for base." in page.locator("#ranking .answer").inner_text()
    first = page.locator("#ranking tbody tr").first
    assert first.locator("th").inner_text() == "near\nholds 100 % of the target's queries"
    assert first.get_by_label("gain", exact=True).count() == 1


def test_choosing_a_target_shows_its_training_sets(opened):
    page = opened()
    page.get_by_role("button", name="test", exact=True).click()
    assert page.locator("#ranking h3").inner_text() == "Training sets for test"
    assert page.locator("#ranking tbody th").first.inner_text() != "near"
    page.select_option("#target", label="dev")
    assert page.locator("#ranking h3").inner_text() == "Training sets for dev"


def test_the_matrix_shows_the_published_numbers(opened, published):
    page = opened()
    page.select_option("#order", "listed")
    page.select_option("#columns", "all")
    rows = matrix(published.folder)
    assert cells(page) == [f"{value:.2f}" for value in rows["kl_alignment"]]
    marks = [text.endswith("*") for text in page.locator("#matrix td").all_inner_texts()]
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
    assert page.locator("#heat").inner_text().strip().endswith("No corpus is left by this choice.")


def test_a_cell_tells_all_measures_to_mouse_and_keyboard(opened):
    page = opened()
    tip = page.locator("#tip")
    page.locator("#matrix td").nth(1).hover()
    assert "Exact overlap" in tip.inner_text()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    page.locator("#matrix td").first.focus()
    said = tip.inner_text()
    page.keyboard.press("ArrowDown")
    assert tip.is_visible()
    assert tip.inner_text() != said
    # One stop for the tabulator key, at the cell that was left
    assert page.locator("#matrix td[tabindex='0']").count() == 1
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 2


def test_enter_in_the_matrix_chooses_the_pair_that_is_explained(opened):
    page = opened()
    page.select_option("#order", "listed")
    page.select_option("#columns", "target")
    page.locator("#matrix td").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#pair-source option:checked").inner_text() == "far"
    assert page.locator("#pair-against option:checked").inner_text() == "dev"


def test_any_pair_can_be_chosen_and_is_explained_by_ngrams_and_structures(opened):
    page = opened()
    page.select_option("#pair-source", label="far")
    page.select_option("#pair-against", label="dev")
    bars = page.locator("#bars > li")
    assert bars.locator(".over").count() == 2
    assert bars.locator(".under").count() > 2
    assert "OVER" in bars.first.locator("code").inner_text()
    bars.first.locator("summary").click()
    assert "A query of far that has it:" in bars.first.inner_text()
    windows = page.locator("#structures tbody tr", has_text="window functions")
    assert windows.locator("td").all_inner_texts()[:2] == ["69 %", "0 %"]
    assert page.locator("#templates path.curve").count() == 6
    page.get_by_role("button", name="Swap").first.click()
    assert "OVER" in bars.locator(".line", has=page.locator(".under")).first.inner_text()


def test_ratios_stand_around_the_line_at_one(opened):
    page = opened()
    figure = page.locator("#ratios figure")
    assert figure.count() == 1
    one = figure.locator(".mark.solid").first.bounding_box()["x"]
    for row in figure.locator("tbody tr").all():
        ratio = float(row.locator("td.n").first.inner_text())
        dot = row.locator(".dot").bounding_box()
        assert (dot["x"] + dot["width"] / 2 > one) == (ratio > 1)
    page.select_option("#answers", "tuned")
    assert "no such answers" in page.locator("#ratios").inner_text()


def test_what_is_hostile_stays_text(opened):
    page = opened()
    page.select_option("#pair-source", label=HOSTILE_NAME)
    page.select_option("#pair-against", label="dev")
    for summary in page.locator("#differences summary").all():
        summary.click()
    text = page.locator("main").inner_text()
    assert HOSTILE_SQL in text
    assert HOSTILE_NAME in text
    assert HOSTILE_MODEL in text
    assert page.locator("main img, main script, main b, main i").count() == 0
    assert page.locator("script").count() == 2
    assert page.evaluate("window.broken") is None


def test_the_policy_stops_what_would_get_in(chromium, report):
    page = chromium.new_page()
    page.goto(report.as_uri())
    blocked = page.evaluate(
        """() => new Promise((resolve) => {
            const told = (event) => resolve(event.effectiveDirective);
            document.addEventListener("securitypolicyviolation", told);
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
def test_it_fits_and_is_not_blank(opened, size, scheme):
    page = opened(viewport=size, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for section in page.locator("main > section").all():
        box = section.bounding_box()
        assert box["height"] > 80, section.get_attribute("id")
        assert box["x"] + box["width"] <= size["width"]
    back = (255, 255, 255) if scheme == "light" else (21, 23, 27)
    colours = page.evaluate(COLOURS, base64.b64encode(page.screenshot()).decode())
    assert colours["corner"] == list(back)
    assert colours["different"] > 20


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_in_the_matrix_can_be_read_on_every_shade(opened, scheme):
    page = opened(color_scheme=scheme)
    assert page.evaluate(LEAST_CONTRAST) >= 4.3


def test_it_prints_what_it_shows_without_its_controls(opened):
    page = opened(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.locator("#matrix .tools").is_hidden()
    assert page.locator("nav").is_hidden()
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(255, 255, 255)"
    assert page.locator("#matrix .heat").evaluate("node => getComputedStyle(node).overflowY") == (
        "visible"
    )


COLOURS = """async (png) => {
    const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    canvas.drawImage(image, 0, 0);
    const { data } = canvas.getImageData(0, 0, image.width, image.height);
    const seen = new Set();
    for (let i = 0; i < data.length; i += 4) seen.add(data.slice(i, i + 3).join());
    return { corner: [...data.slice(0, 3)], different: seen.size };
}"""

# By WCAG's formula, over 51 shades of the scale
LEAST_CONTRAST = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const pixel = (colour) => {
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].map((x) => x / 255);
    };
    const part = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const cell = document.querySelector(".heat td");
    let least = 99;
    for (let shade = 0; shade <= 100; shade += 2) {
        cell.style.setProperty("--v", shade);
        cell.className = shadeClass(shade / 100);
        const style = getComputedStyle(cell);
        const both = [style.backgroundColor, style.color].map(pixel).map(light);
        least = Math.min(least, (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05));
    }
    return least;
}"""
