"""The pages show what the program does, cover all of it, and have no broken links."""

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GENERATED = sorted((DOCS / "reference").glob("*.md"))
WRITTEN = sorted({*ROOT.glob("*.md"), *DOCS.rglob("*.md")} - {*GENERATED})
PAGES = sorted([*WRITTEN, *GENERATED, *ROOT.glob("samples/*.md")])
LINE_WIDTH = 100
generate = type("Generate", (), runpy.run_path(str(DOCS / "generate.py")))
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def blocks(path, language):
    """The code blocks of a page in a language."""
    text = path.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def all_blocks(language):
    return [
        pytest.param(block, id=f"{path.name}-{number}")
        for path in WRITTEN
        for number, block in enumerate(blocks(path, language), 1)
    ]


def anchors(path):
    """The anchors that GitHub makes of the headings of a page."""
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
def test_no_link_is_broken(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_site_has_every_page_and_fetches_nothing_from_other_hosts(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    pages = [page.read_text(encoding="utf-8") for page in tmp_path.rglob("index.html")]
    assert len(pages) > len([*DOCS.rglob("*.md")])
    loaded = {
        link
        for page in pages
        for link in re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(http[^"]*)"', page)
    }
    assert loaded == set()
    formulas = (tmp_path / "definitions" / "index.html").read_text(encoding="utf-8")
    assert '<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">' in formulas
    assert "arithmatex" not in formulas


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


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_lines_fit(path):
    """Tables, formulas, and the output of commands may be longer."""
    text = re.sub(r"^```(?:console|text)\n.*?^```$", "", path.read_text("utf-8"), flags=re.S | re.M)
    long = [line for line in text.splitlines() if len(line) > LINE_WIDTH]
    assert [line for line in long if not line.startswith(("|", "$$"))] == []


def test_the_guides_cover_all_commands_formats_keys_and_tables():
    from nl2sql_align.flows.cli import app
    from nl2sql_align.tasks.ingest.corpora_file import (
        ALIASES,
        ColumnMapping,
        CorpusEntry,
        list_formats,
    )

    guides = {path.stem: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    commands = [command.name or command.callback.__name__ for command in app.registered_commands]
    assert [name for name in commands if f"`nl2sql-align {name} " not in guides["commands"]] == []
    known = [*list_formats(), *ALIASES]
    assert [name for name in known if f"`{name}`" not in guides["formats"]] == []
    keys = {*CorpusEntry.model_fields, *ColumnMapping.model_fields} - {"url"}
    assert [key for key in keys if f"`{key}`" not in guides["corpora-file"]] == []
    tables = re.findall(r"^## (\w+)$", generate.PAGES["tables"](), re.MULTILINE)
    assert len(tables) > 20
    assert [table for table in tables if f"`{table}`" not in guides["results"]] == []


@pytest.mark.parametrize("code", all_blocks("python"))
def test_names_that_are_imported_exist(code):
    compile(code, "page", "exec")
    for line in code.splitlines():
        if line.startswith(("from nl2sql_align", "import nl2sql_align")):
            exec(line, {})


@pytest.mark.parametrize("text", all_blocks("toml"))
def test_corpora_files_are_valid(text, tmp_path):
    from nl2sql_align.tasks.ingest.corpora_file import ColumnMapping, load_corpora

    path = tmp_path / "corpora.toml"
    path.write_text(text, encoding="utf-8")
    if "[[corpus]]" in text:
        assert load_corpora(path)
    else:  # alternatives for one key
        for line in text.splitlines():
            ColumnMapping.model_validate(tomllib.loads(line)["columns"])


@pytest.mark.flow
@pytest.mark.parametrize("sql", blocks(DOCS / "results.md", "sql"))
def test_queries_on_results_find_something(sample_run, sql):
    database = str(sample_run.warehouse / "alignment.duckdb")
    with duckdb.connect(database, read_only=True) as con:
        for statement in con.extract_statements(
            sql.replace("/new/place", str(sample_run.warehouse))
        ):
            con.execute(statement)
        assert con.fetchall()


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in citation
    [date] = re.findall(r'^date-released: "(.*)"$', citation, re.MULTILINE)
    assert f"\n## [{version}] - {date}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


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
    matrix, chart = [one["data"] for one in outputs if "data" in one]
    assert "<th>orchard-dev</th>" in matrix["text/html"][0]
    assert chart["image/svg+xml"].startswith("<svg")
    assert chart["application/vnd.vegalite.v6+json"]["datasets"]["rows"]
    printed = "".join(line for one in outputs for line in one.get("text", []))
    assert printed.startswith("orchard-dev: harbour-train is closest, at 0.909\n")


@pytest.mark.flow
def test_the_notebook_finds_the_results_from_its_own_folder(place, monkeypatch):
    cells = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    monkeypatch.chdir(place / "docs")
    names = {}
    for step in code[:2]:
        exec(step, names)
    assert names["warehouse"] == "../warehouse"
    assert len(names["results"].corpora) == 7


@pytest.mark.flow
def test_the_picture_can_be_drawn(place):
    generate.printed(f"nl2sql-align {generate.PICTURE}")
    drawn, kept = (folder / "docs" / "ratios.svg" for folder in (place, ROOT))
    assert kept.stat().st_size < 150_000
    # The installed fonts move things a little; the texts stay.
    texts = [re.findall(r">([^<]+)</text>", path.read_text("utf-8")) for path in (drawn, kept)]
    assert texts[0] == texts[1], "stale: run make docs"
    assert "harbour-train" in texts[0]
