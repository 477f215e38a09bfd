"""The layout: which rooms import which, cycles, package files, and SQL files in their places."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "nl2sql_align"

# From top to bottom: each room imports only rooms below it.
ROOMS = (
    "views",
    "decisions",
    "run",
    "results",
    "measures",
    "ngrams",
    "templates",
    "ingest",
    "warehouse",
    "base",
)
# Folders of ``sql`` that are not named after a room, and the room that uses them.
OTHER_SQL_FOLDERS = {"dumps": "ingest"}
FORBIDDEN_IN_TASKS = ("prefect", "prefect_dask", f"{PACKAGE}.flows")


# ---- reading the code ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Import:
    """An import of a module, anywhere in another one: in functions and for types alone too."""

    module: str
    imported: str


def find_modules(root: Path) -> dict[str, Path]:
    """Return the files of ``tasks`` and ``flows`` by the dotted names of their modules."""
    found = {}
    for path in sorted(path for top in ("tasks", "flows") for path in root.glob(f"{top}/**/*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join((PACKAGE, *parts)).removesuffix(".__init__")] = path
    return found


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def find_imports(root: Path) -> list[Import]:
    modules = find_modules(root)
    found = []
    for name, path in modules.items():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Import):
                found += [Import(name, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = absolute_name(node, name, path)
                members = [f"{base}.{alias.name}" for alias in node.names]
                found += [Import(name, one if one in modules else base) for one in members]
    return found


def absolute_name(node: ast.ImportFrom, module: str, path: Path) -> str:
    """Return the module that names are imported from; ``from .. import x`` is relative."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    parents = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*parents, *filter(None, [node.module])])


def room_of(module: str) -> str | None:
    match = re.match(rf"{PACKAGE}\.tasks\.(\w+)", module)
    return match[1] if match else None


# ---- the rules: each function returns what breaks one -------------------------------------------


def imports_upwards(root: Path) -> list[str]:
    """Return the imports of a room from one that is not below it, and rooms without a place."""
    broken = []
    for one in find_imports(root):
        importing, imported = room_of(one.module), room_of(one.imported)
        if importing is None or imported is None or importing == imported:
            continue
        places = [ROOMS.index(room) if room in ROOMS else -1 for room in (importing, imported)]
        if -1 in places or places[0] > places[1]:
            broken.append(f"{one.module} imports {one.imported}")
    return broken


def unknown_rooms(root: Path) -> list[str]:
    rooms = {room for module in find_modules(root) if (room := room_of(module))}
    return sorted(rooms - {*ROOMS})


def imports_of_flows(root: Path) -> list[str]:
    """Return the imports of Prefect and of ``flows`` in ``tasks``."""
    return [
        f"{one.module} imports {one.imported}"
        for one in find_imports(root)
        if one.module.startswith(f"{PACKAGE}.tasks")
        and any(f"{one.imported}.".startswith(f"{name}.") for name in FORBIDDEN_IN_TASKS)
    ]


def import_cycle(root: Path) -> list[str]:
    """Return the modules of a cycle of imports, wherever in a module they are."""
    graph: dict[str, set[str]] = {module: set() for module in find_modules(root)}
    for one in find_imports(root):
        if one.imported in graph and one.imported != one.module:
            graph[one.module].add(one.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def filled_package_files(root: Path) -> list[str]:
    """Return the ``__init__.py`` files that do not hold a docstring alone."""
    found = []
    for path in sorted(path for top in ("tasks", "sql") for path in root.glob(f"{top}/**/*.py")):
        if path.name == "__init__.py":
            tree = parse(path)
            if len(tree.body) != 1 or ast.get_docstring(tree) is None:
                found.append(path.relative_to(root).as_posix())
    return found


def unused_sql_files(root: Path) -> list[str]:
    """Return the SQL files that no module of their room names."""
    used: dict[str | None, list[str]] = {}
    for module, path in find_modules(root).items():
        patterns = used.setdefault(room_of(module), [])
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                patterns.append(re.escape(node.value))
            elif isinstance(node, ast.JoinedStr):
                patterns.append(name_pattern(node))
    found = []
    for file in sorted((root / "sql").rglob("*.sql")):
        name = file.relative_to(root / "sql").with_suffix("").as_posix()
        top = name.partition("/")[0]
        patterns = used.get(OTHER_SQL_FOLDERS.get(top, top), [])
        if not any(re.fullmatch(pattern, name) for pattern in patterns):
            found.append(name)
    return found


def name_pattern(node: ast.JoinedStr) -> str:
    """Return what an f-string matches: ``f"dumps/{format}"`` names every file of a folder."""
    first = node.values[0] if node.values else None
    if not (isinstance(first, ast.Constant) and "/" in first.value):
        return ""
    return "".join(
        re.escape(part.value) if isinstance(part, ast.Constant) else "[^/]+" for part in node.values
    )


def unknown_sql_folders(root: Path) -> list[str]:
    folders = {path.name for path in (root / "sql").iterdir() if path.is_dir()}
    return sorted(folders - {*ROOMS, *OTHER_SQL_FOLDERS, "__pycache__"})


RULES = (
    imports_upwards,
    unknown_rooms,
    imports_of_flows,
    import_cycle,
    filled_package_files,
    unused_sql_files,
    unknown_sql_folders,
)


@pytest.mark.parametrize("rule", RULES)
def test_the_project_keeps_the_rule(rule):
    assert len(find_modules(ROOT)) > 80
    assert len(find_imports(ROOT)) > 500
    assert rule(ROOT) == []


# ---- the rules themselves, on a small project ---------------------------------------------------

# Keeps all rules.
PROJECT = {
    "flows/align.py": "import prefect\nfrom nl2sql_align.tasks.views.report import write",
    "tasks/__init__.py": '"""Steps."""',
    "tasks/base/__init__.py": '"""Foundations."""',
    "tasks/base/errors.py": "from pathlib import Path",
    "tasks/base/run_sql.py": "from nl2sql_align.tasks.base import errors",
    "tasks/ingest/dumps.py": 'def read(run, format):\n    run(f"dumps/{format}")',
    "tasks/views/report.py": (
        "from nl2sql_align.tasks.ingest import dumps\n"
        "from nl2sql_align.tasks.base.run_sql import run_sql\n"
        'run_sql("views/report/pairs")'
    ),
    "sql/__init__.py": '"""All SQL."""',
    "sql/dumps/spider.sql": "",
    "sql/views/report/pairs.sql": "",
}


@pytest.fixture
def write_project(tmp_path):
    """Write the small project with some files changed, and return its folder."""

    def write(**changed):
        for name, text in {**PROJECT, **changed}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize("rule", RULES)
def test_the_small_project_keeps_the_rule(write_project, rule):
    assert rule(write_project()) == []


TASKS = f"{PACKAGE}.tasks"


@pytest.mark.parametrize(
    ("rule", "changed", "broken"),
    [
        (
            imports_upwards,
            {"tasks/ingest/dumps.py": f"from {TASKS}.views.report import write"},
            [f"{TASKS}.ingest.dumps imports {TASKS}.views.report"],
        ),
        (
            imports_upwards,
            {"tasks/ingest/dumps.py": f"def read():\n    import {TASKS}.views.report as report"},
            [f"{TASKS}.ingest.dumps imports {TASKS}.views.report"],
        ),
        (
            imports_upwards,
            {"tasks/base/errors.py": "if TYPE_CHECKING:\n    from ..views import report"},
            [f"{TASKS}.base.errors imports {TASKS}.views.report"],
        ),
        (
            imports_upwards,
            {"tasks/base/__init__.py": "from ..ingest.dumps import read"},
            [f"{TASKS}.base imports {TASKS}.ingest.dumps"],
        ),
        (
            imports_upwards,
            {"tasks/views/report.py": f"from {TASKS}.attic import old"},
            [f"{TASKS}.views.report imports {TASKS}.attic"],
        ),
        (unknown_rooms, {"tasks/attic/old.py": ""}, ["attic"]),
        (unknown_rooms, {"tasks/loose.py": ""}, ["loose"]),
        (
            imports_of_flows,
            {"tasks/views/report.py": "def write():\n    from prefect.artifacts import create"},
            [f"{TASKS}.views.report imports prefect.artifacts"],
        ),
        (
            imports_of_flows,
            {"tasks/views/report.py": "import prefect_dask"},
            [f"{TASKS}.views.report imports prefect_dask"],
        ),
        (
            imports_of_flows,
            {"tasks/views/report.py": f"from {PACKAGE} import flows", "flows/__init__.py": ""},
            [f"{TASKS}.views.report imports {PACKAGE}.flows"],
        ),
        (
            import_cycle,
            {"tasks/base/errors.py": "def show():\n    from . import run_sql"},
            [f"{TASKS}.base.errors", f"{TASKS}.base.run_sql", f"{TASKS}.base.errors"],
        ),
        (
            filled_package_files,
            {"tasks/base/__init__.py": '"""Foundations."""\n\nVERSION = 1'},
            ["tasks/base/__init__.py"],
        ),
        (filled_package_files, {"tasks/base/__init__.py": ""}, ["tasks/base/__init__.py"]),
        (unused_sql_files, {"sql/views/report/old.sql": ""}, ["views/report/old"]),
        (
            unused_sql_files,
            {"tasks/ingest/dumps.py": 'run(f"{folder}/{format}")'},
            ["dumps/spider"],
        ),
        (
            unused_sql_files,
            {"tasks/views/report.py": "", "tasks/base/errors.py": '"views/report/pairs"'},
            ["views/report/pairs"],
        ),
        (unknown_sql_folders, {"sql/attic/pairs.sql": ""}, ["attic"]),
    ],
)
def test_a_project_that_breaks_the_rule_is_found(write_project, rule, changed, broken):
    found = rule(write_project(**changed))
    if rule is import_cycle:  # which may start at any of its modules
        found, broken = {*found}, {*broken}
    assert found == broken
