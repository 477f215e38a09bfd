"""Writes what these pages show of the program: ``make docs``, after a run over the samples.

``python docs/generate.py reference`` writes the reference alone, without results.

* ``docs/reference/``, from the code: commands, tables, Python functions, formats, settings.
* the output below each command in README.md and the tutorial, from the results of the samples.
* the picture of the README, and the notebook of docs/example.py.

A test holds the pages against what this writes.
"""

import ast
import importlib
import inspect
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import duckdb
import typer
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WITH_OUTPUT = (ROOT / "README.md", DOCS / "TUTORIAL.md")
PICTURE = "plot ratios warehouse -o docs/ratios.svg"
WRITTEN_BY = "<!-- Written by docs/generate.py from the code: change that, then `make docs`. -->"

# The Python twins of the commands, and what notebooks use, by module.
PYTHON = {
    "nl2sql_align.flows.align": ["align", "RunSummary"],
    "nl2sql_align.flows.nightly": ["nightly"],
    "nl2sql_align.tasks.results.read": ["matrix", "ratio", "rejects"],
    "nl2sql_align.tasks.views.notebook": ["load", "Results"],
    "nl2sql_align.tasks.views.explain": ["explain", "Explanation", "Direction"],
    "nl2sql_align.tasks.decisions.headroom": ["headroom"],
    "nl2sql_align.tasks.decisions.calibration": ["calibrate", "Calibration"],
    "nl2sql_align.tasks.decisions.sample_size": ["sample_size", "recommendation"],
    "nl2sql_align.tasks.decisions.selection": ["select", "Options", "Selection"],
    "nl2sql_align.tasks.decisions.mixture": ["mix", "Mixture"],
    "nl2sql_align.tasks.run.inspection": ["inspect_dump", "Inspection"],
    "nl2sql_align.tasks.templates.one_query": ["template_of"],
    "nl2sql_align.tasks.views.report": ["write_report"],
    "nl2sql_align.tasks.views.pictures": ["plot"],
    "nl2sql_align.tasks.views.digits": ["decimals", "shown", "ends"],
    "nl2sql_align.tasks.base.errors": [
        *("AlignError", "ConfigurationError", "CorpusError", "WarehouseError"),
        "ConflictError",
        "DatabaseInUseError",
    ],
}
ENVIRONMENT = {
    "NL2SQL_ALIGN_THREADS": "Processes and threads, where `--threads` is not given; else one per "
    "CPU. For a flow that a Prefect worker runs, set it in the worker's environment: Polars asks "
    "for its threads once, when it is loaded.",
    "NL2SQL_ALIGN_MEMORY_LIMIT": "DuckDB's limit, as in `4GB`, where `--memory-limit` is not "
    "given; else 4 GB. Beyond it DuckDB goes to disk. It also bounds the batches in which n-grams "
    "are counted, and the size at which a parsing process is replaced.",
    "NL2SQL_ALIGN_SHARE_PARSES": "`0` parses each distinct query for itself, and not each shape of "
    "a query once: slower, with the same results.",
    "NL2SQL_ALIGN_CACHE": "The folder for working copies of warehouses on object stores, one for "
    "each address; by default `nl2sql-align` in `XDG_CACHE_HOME` or `~/.cache`.",
    "NL2SQL_ALIGN_DEBUG": "Anything: an error that was not foreseen is shown with its traceback.",
    "NL2SQL_ALIGN_PROJECT": "Set by `make serve`, for `prefect.yaml`: the project's folder.",
}
OTHERS_ENVIRONMENT = {
    "NO_COLOR": "Anything: no colours, on a terminal either.",
    "COLUMNS": "How wide tables are; by default, as wide as the terminal, or 80 without one.",
    "OPENBLAS_NUM_THREADS": "NumPy's threads for linear algebra; by default 1, so that sums do not "
    "depend on how many there are, and none waits by spinning.",
    "ARROW_DEFAULT_MEMORY_POOL": "Arrow's allocator; by default `system`, which takes less time "
    "and memory here than its own.",
    "PYTHONDONTWRITEBYTECODE": "Anything, as in many images for containers: each run compiles the "
    "program anew, 0.3 to 0.4 CPU seconds. `python -m compileall flows tasks`, where it is "
    "installed, does that once.",
    "PREFECT_API_URL": "A Prefect server to run flows on; by default a run starts one of its own.",
}
STATUSES = {
    0: "Done; for a run: every corpus was taken.",
    1: "Anything else; for `template`: the query is rejected.",
    2: "A mistake in the command, the corpora file, an option or an environment variable.",
    3: "The run is done, but something about a dump was set aside, each named on standard error.",
    4: "A row does not meet the condition of `--require`.",
    130: "Ended by Ctrl-C; 143 by SIGTERM, 129 by SIGHUP.",
}


def page(title: str, *parts: str) -> str:
    """A page of the reference."""
    return "\n\n".join([f"# {title}", WRITTEN_BY, *parts]) + "\n"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# ---- the pages of the reference -----------------------------------------------------------------


def commands() -> str:
    """All commands with their arguments and options, from the command line's own definition."""
    from nl2sql_align.flows.cli import app

    group = typer.main.get_command(app)
    parts = [
        "Each command has a twin in [Python](python.md). `--help` after any of them shows the "
        "same. What exit statuses mean stands among the [settings](settings.md)."
    ]
    for name, command in group.commands.items():
        arguments = [one.metavar for one in command.params if one.param_type_name == "argument"]
        usage = " ".join(["nl2sql-align", name, *arguments, "[OPTIONS]"])
        parts.append(f"## {name}\n\n```text\n{usage}\n```")
        parts.append(inspect.cleandoc(command.help or ""))
        context = command.context_class(command, info_name=name)
        rows = [_parameter(one, context) for one in command.params]
        parts.append(table(["argument or option", "default", "meaning"], rows))
        example = (command.epilog or "").removeprefix("Example: ")
        parts.append(f"Example:\n\n```console\n$ {example}\n```")
    return page("Commands", *parts)


def _parameter(one: Any, context: typer.Context) -> list[str]:
    if one.param_type_name == "argument":
        return [f"`{one.metavar}`", "needed", one.help or ""]
    is_flag = isinstance(one.default, bool) or bool(one.secondary_opts)
    names = "/".join([*one.opts, *one.secondary_opts])
    taken = "" if is_flag else f" {one.metavar or one.display_type(context)}"
    default = str(getattr(one.default, "value", one.default or ""))
    told = f"`{default}`" if default and not is_flag else ""
    return [f"`{names}{taken}`", "needed" if one.required else told, one.help or ""]


def tables() -> str:
    """The public tables with their columns, from the statements that make and comment them."""
    from nl2sql_align.tasks.base.run_sql import load_sql

    with duckdb.connect() as con:
        con.execute(load_sql("results/publish/tables"))
        types = {
            (name, column): kind
            for name, column, kind in con.execute(
                "select table_name, column_name, lower(data_type) from duckdb_columns()"
            ).fetchall()
        }
    comments = re.findall(
        r"^comment on (table|view|column) ([\w.]+) is '((?:[^']|'')*)';$",
        load_sql("results/publish/comments") + load_sql("results/publish/view_comments"),
        re.MULTILINE,
    )
    parts = [
        "The tables and views of `alignment.duckdb`. They and their columns have these comments in "
        "the database, too (`from duckdb_columns()`). The [cookbook](../cookbook.md) has queries."
    ]
    rows: list[list[str]] = []
    for kind, name, comment in [*comments, ("end", "", "")]:
        if kind != "column":
            if rows:
                parts.append(table(["column", "type", "meaning"], rows))
                rows = []
            if kind != "end":
                parts.append(f"## {name}\n\n{comment.replace(chr(39) * 2, chr(39))}")
        else:
            of, column = name.split(".")
            kind_of = types.get((of, column), "")
            rows.append([f"`{column}`", kind_of, comment.replace("''", "'")])
    return page("Tables", *parts)


def python() -> str:
    """The public functions and classes, from their signatures and docstrings."""
    parts = [
        "What commands do, as functions. Frames are Polars'; everything else is plain Python. "
        "Calls raise what [errors](#taskserrors) lists, and print nothing."
    ]
    for module, names in PYTHON.items():
        loaded = importlib.import_module(module)
        parts.append(f"## {module}\n\n{inspect.getdoc(loaded).splitlines()[0]}")  # type: ignore[union-attr]
        for name in names:
            parts += _documented(module, name, getattr(loaded, name))
    return page("Python", *parts)


def _documented(module: str, name: str, thing: Any) -> Iterator[str]:
    thing = getattr(thing, "fn", thing)  # of a flow, the function
    yield f"### {name}"
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        yield f"```python\n{_signature(name, thing)}\n```"
    yield _docstring(inspect.getdoc(thing) or "")
    if not inspect.isclass(thing) or issubclass(thing, Exception):
        return
    for member, value in vars(thing).items():
        function = getattr(value, "func", getattr(value, "fget", value))
        if member.startswith("_") or not inspect.isfunction(function):
            continue
        yield f"#### {name}.{member}"
        if function is value:
            yield f"```python\n{_signature(member, value)}\n```"
        yield _docstring(inspect.getdoc(function) or "")


def _signature(name: str, thing: Any) -> str:
    """A signature as it stands in the source: that is the same under every version of Python."""
    source = textwrap.dedent(inspect.getsource(thing))
    node = ast.parse(source).body[0]
    if isinstance(node, ast.FunctionDef):
        arguments, returns = (
            ast.unparse(node.args),
            f" -> {ast.unparse(node.returns)}" if node.returns else "",
        )
        text = f"{name}({arguments}){returns}"
    else:
        fields = [ast.unparse(one) for one in node.body if isinstance(one, ast.AnnAssign)]  # type: ignore[attr-defined]
        text = f"{name}({', '.join(fields)})"
    text = text.replace("'pl.DataFrame'", "pl.DataFrame")
    if len(text) <= 90:
        return text
    head, _, rest = text.partition("(")
    inside, _, after = rest.rpartition(")")
    return f"{head}(\n    " + ",\n    ".join(_split(inside)) + f",\n){after}"


def _split(arguments: str) -> list[str]:
    parts, depth = [""], 0
    for character in arguments:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _docstring(text: str) -> str:
    """A Google style docstring in Markdown: its sections as lists."""
    lines: list[str] = []
    in_section = False
    for line in text.replace("``", "`").splitlines():
        section = re.fullmatch(r"(Args|Returns|Raises|Yields|Attributes):", line)
        if section:
            in_section = True
            lines += [f"*{section[1]}*", ""]
        elif in_section and (item := re.fullmatch(r"    (\w+): (.*)", line)):
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif in_section and line.startswith("        "):
            lines[-1] += f" {line.strip()}"
        else:
            in_section = in_section and (not line or line.startswith("    "))
            lines.append(line.strip())
    return "\n".join(lines)


def formats() -> str:
    """The formats of dumps, from the heads of the SQL files that read them."""
    from nl2sql_align.tasks.base.run_sql import list_sql, load_sql
    from nl2sql_align.tasks.ingest.corpora_file import list_formats

    rows = []
    for name in list_formats():
        head = []
        for line in load_sql(f"dumps/{name}").splitlines():
            if not line.startswith("--"):
                break
            if "parameters:" not in line:
                head.append(line.removeprefix("--").strip())
        others = [one.partition(".")[2] for one in list_sql("dumps") if one.startswith(f"{name}.")]
        rows.append([f"`{name}`", " ".join(head), ", ".join(others)])
    return page(
        "Formats",
        "What `format` may be in a corpora file. [Dumps](../formats.md) says how they are "
        "recognised, and what is done with archives, encodings, answers and scripts.",
        table(["format", "reads", "also as"], rows),
    )


def settings() -> str:
    """Environment variables and exit statuses."""
    from nl2sql_align.tasks.base.errors import AlignError

    def below(kind: type[AlignError]) -> Iterator[type[AlignError]]:
        yield kind
        for one in kind.__subclasses__():
            yield from below(one)

    importlib.import_module("nl2sql_align.tasks.results.read")  # where one of them stands
    by_status: dict[int, list[str]] = {}
    for kind in dict.fromkeys(below(AlignError)):
        if kind.__module__.startswith("tasks."):
            by_status.setdefault(kind.exit_code, []).append(f"`{kind.__name__}`")
    return page(
        "Settings",
        "## Environment variables",
        table(
            ["variable", "what it does"],
            [[f"`{name}`", text] for name, text in {**ENVIRONMENT, **OTHERS_ENVIRONMENT}.items()],
        ),
        "Other variables of [Prefect](https://docs.prefect.io/) hold as well.",
        "## Exit statuses",
        table(
            ["status", "meaning", "in Python"],
            [
                [str(n), text, ", ".join(sorted(by_status.get(n, [])))]
                for n, text in STATUSES.items()
            ],
        ),
    )


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "tables": tables,
    "python": python,
    "formats": formats,
    "settings": settings,
}


# ---- output of commands --------------------------------------------------------------------------

_SHOWN = re.compile(
    r"^```console\n\$ (?P<command>[^\n]*)\n(?P<output>.*?)^```$", re.DOTALL | re.MULTILINE
)
_RUNS = ("make align",)


@contextmanager
def workplace(warehouse: Path) -> Iterator[Path]:
    """A folder that looks like the project's after ``make align``, where commands may write."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(warehouse, place / "warehouse")
        (place / "samples").symlink_to(ROOT / "samples")
        (place / "docs").mkdir()
        with chdir(place):
            yield place


def printed(command: str) -> str:
    """What a command prints in a workplace, without a terminal, at 80 columns."""
    from nl2sql_align.flows.cli import app
    from nl2sql_align.flows.running.command import print_results
    from nl2sql_align.tasks.views.terminal.console import out

    command = command.removeprefix(".venv/bin/")
    written = io.StringIO()
    width = out.width
    out.width = 80
    try:
        with redirect_stdout(written), redirect_stderr(io.StringIO()):
            if command in _RUNS:
                print_results(Path("warehouse"))
            else:
                program, *arguments = shlex.split(command)
                if program != "nl2sql-align":
                    raise ValueError(f"not a command of this program: {command}")
                app(arguments, standalone_mode=False)
    except (SystemExit, typer.Exit):
        pass
    finally:
        out.width = width
    # Tables end each line with spaces, which editors and reviewers do not like.
    lines = Text.from_ansi(written.getvalue()).plain.splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines)


def is_ours(command: str) -> bool:
    """Whether a command is one of this program, and not of the shell."""
    return command in _RUNS or command.removeprefix(".venv/bin/").startswith("nl2sql-align ")


def shown(text: str) -> list[tuple[str, str]]:
    """The commands of a page that have output below them, with it."""
    found = [(one["command"], one["output"]) for one in _SHOWN.finditer(text)]
    return [(command, output) for command, output in found if output and is_ours(command)]


def with_output(text: str) -> str:
    """A page with what its commands print now."""

    def renewed(one: re.Match[str]) -> str:
        if not one["output"] or not is_ours(one["command"]):
            return one[0]
        return f"```console\n$ {one['command']}\n{printed(one['command'])}```"

    return _SHOWN.sub(renewed, text)


# ---- the notebook --------------------------------------------------------------------------------


def notebook() -> str:
    """The steps of docs/example.py as a notebook, executed in a workplace."""
    head, *steps = (DOCS / "example.py").read_text(encoding="utf-8").split("\n\n# ")
    _, _, imports = head.split('"""')
    names: dict[str, Any] = {}
    cells = [
        _markdown("# From results to a decision"),
        _code(imports.replace("import sys", "").strip(), names),
    ]
    for step in steps:
        heading, _, code = step.strip().partition("\n")
        code = code.replace("sys.argv[1]", '"warehouse"')
        if code.endswith("results = load(warehouse)"):
            code += "\nresults"
        cells += [_markdown(heading), _code(code, names)]
    for number, cell in enumerate(cells):
        cell["id"] = f"step-{number}"
    whole = {
        "cells": cells,
        "metadata": {"language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": [text]}


def _code(code: str, names: dict[str, Any]) -> dict[str, Any]:
    """A cell of code with what it prints, and its last value as HTML if it shows itself so."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    outputs: list[dict[str, Any]] = []
    with redirect_stdout(io.StringIO()) as written:
        exec(compile(tree, "notebook", "exec"), names)
        value = eval(ast.unparse(last), names) if last else None
    if text := written.getvalue():
        lines = text.splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if hasattr(value, "_repr_html_"):
        data = {"text/html": [value._repr_html_()], "text/plain": [type(value).__name__]}
        outputs.append(
            {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data}
        )
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": code.splitlines(keepends=True),
        "outputs": outputs,
    }


def main() -> None:
    """Writes everything, from the results of ``make align``; with ``reference``, only that."""
    warehouse = ROOT / "warehouse"
    for name, make in PAGES.items():
        (DOCS / "reference" / f"{name}.md").write_text(make(), encoding="utf-8")
    if sys.argv[1:] == ["reference"]:
        return
    with workplace(warehouse) as place:
        for path in WITH_OUTPUT:
            path.write_text(with_output(path.read_text(encoding="utf-8")), encoding="utf-8")
        (DOCS / "notebook.ipynb").write_text(notebook(), encoding="utf-8")
        printed(f"nl2sql-align {PICTURE}")
        shutil.copy(place / "docs" / "ratios.svg", DOCS / "ratios.svg")


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(ROOT))
    main()
