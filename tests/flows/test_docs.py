"""What the pages show is what the program does, and their links lead somewhere."""

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("samples/*.md")])
generate = type("Generate", (), runpy.run_path(str(DOCS / "generate.py")))
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def anchors(path):
    """What a link may name after #, as GitHub makes it of headings."""
    found = set()
    for heading in re.findall(
        r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE
    ):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        n = 0
        while (f"{words}-{n}" if n else words) in found:
            n += 1
        found.add(f"{words}-{n}" if n else words)
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_every_page_can_be_reached_from_the_index():
    reached, left = set(), [DOCS / "README.md"]
    while left:
        page = left.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in re.findall(r"\]\(([^)\s#]+)", FENCE.sub("", page.read_text(encoding="utf-8"))):
            if not link.startswith("http"):
                left.append((page.parent / link).resolve())
    assert [page for page in DOCS.rglob("*.md") if page not in reached] == []


@pytest.mark.flow
@pytest.mark.parametrize("name", generate.PAGES)
def test_the_reference_is_what_the_code_says(name, prefect_home):
    path = DOCS / "reference" / f"{name}.md"
    assert path.read_text(encoding="utf-8") == generate.PAGES[name](), "stale: run make docs"


def test_all_environment_variables_are_described():
    named = {
        name
        for folder in ("flows", "tasks")
        for path in (ROOT / folder).rglob("*.py")
        for name in re.findall(r"NL2SQL_ALIGN_[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    assert named == generate.ENVIRONMENT.keys()


@pytest.fixture(scope="module")
def place(sample_run):
    with generate.workplace(sample_run.warehouse) as folder:
        yield folder


@pytest.mark.flow
@pytest.mark.parametrize(
    ("page", "command", "output"),
    [
        (path.name, *one)
        for path in generate.WITH_OUTPUT
        for one in generate.shown(path.read_text(encoding="utf-8"))
    ],
    ids=lambda text: text.splitlines()[0][:60],
)
def test_commands_print_what_is_shown(place, page, command, output, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert generate.printed(command) == output, "stale: run make docs"


@pytest.mark.flow
def test_the_notebook_is_executed_and_shows_the_matrix(place):
    kept = (DOCS / "notebook.ipynb").read_text(encoding="utf-8")
    assert kept == generate.notebook(), "stale: run make docs"
    outputs = [one for cell in json.loads(kept)["cells"] for one in cell.get("outputs", [])]
    [matrix] = [one["data"]["text/html"][0] for one in outputs if "data" in one]
    assert "<th>orchard-dev</th>" in matrix
    printed = "".join(line for one in outputs for line in one.get("text", []))
    assert printed.startswith("orchard-dev: harbour-train is closest, at 0.909\n")


@pytest.mark.flow
def test_the_picture_can_be_drawn(place):
    generate.printed(f"nl2sql-align {generate.PICTURE}")
    drawn, kept = (folder / "docs" / "ratios.svg" for folder in (place, ROOT))
    assert kept.stat().st_size < 150_000
    # Which fonts are there moves things by a little; what is said stays.
    said = [re.findall(r">([^<]+)</text>", path.read_text("utf-8")) for path in (drawn, kept)]
    assert said[0] == said[1], "stale: run make docs"
    assert "harbour-train" in said[0]
