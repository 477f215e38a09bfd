"""The command line, ``nl2sql-align``. Commands that only read import no Prefect."""

import os
import re
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.tasks.base.environment import set_library_defaults
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.base.garbage import collect_rarely, skip_final_collection
from nl2sql_align.tasks.results.read import METRICS
from nl2sql_align.tasks.views.terminal import console
from nl2sql_align.tasks.views.terminal.console import (
    Format,
    LogFormat,
    print_object,
    print_rows,
    printable,
)
from nl2sql_align.tasks.views.terminal.corpora import print_inspection, print_rejects
from nl2sql_align.tasks.views.terminal.decisions import (
    print_calibration,
    print_headroom,
    print_mixture,
    print_sample_sizes,
    print_selection,
)
from nl2sql_align.tasks.views.terminal.explanation import print_explanation
from nl2sql_align.tasks.views.terminal.matrix import print_matrix
from nl2sql_align.tasks.views.terminal.ratios import print_ratios

app = typer.Typer(
    name="nl2sql-align",
    help="Compare text-to-SQL data sets by the structure of their queries, to tell which one to "
    "fine-tune on. Start with: nl2sql-align run CORPORA.toml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_MAKE, _READ, _DECIDE, _LOOK = "Make results", "Read results", "Decide", "Look at one thing"

Folder = Annotated[
    str,
    typer.Argument(
        metavar="DIR", help="The warehouse: the folder where results stand, or its s3:// address."
    ),
]
Into = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        help="Where results go: a folder, made if it is not there, or an address such as "
        "s3://bucket/prefix.",
    ),
]
Form = Annotated[Format, typer.Option("--format", help="For people, or for programs.")]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", min=0, metavar="SECONDS", help="Wait so long where another run has the warehouse."
    ),
]
LogForm = Annotated[
    LogFormat, typer.Option(help="How the run says what it does, on standard error.")
]
RunBy = Annotated[
    Runner, typer.Option(help="What parses and counts: this machine, or a Dask cluster's workers.")
]
DaskAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The scheduler of a Dask cluster; by default, runner dask starts one here.",
    ),
]
Require = Annotated[
    str | None,
    typer.Option(
        metavar="EXPRESSION",
        help="Exit with 4 unless every row meets this condition on its columns, written in SQL.",
    ),
]


class Resampled(StrEnum):
    """What is drawn again as a whole."""

    DATABASE = "database"
    QUERY = "query"


class Picture(StrEnum):
    """What there is to draw."""

    MATRIX = "matrix"
    RATIOS = "ratios"
    DIFFERENCES = "differences"
    SAMPLE_SIZE = "sample-size"
    BUDGET = "budget"


@app.command(
    rich_help_panel=_MAKE,
    epilog="Example: nl2sql-align run samples/corpora.toml --warehouse warehouse",
)
def run(
    corpora: Annotated[
        Path, typer.Argument(metavar="CORPORA.toml", help="What there is to compare.")
    ],
    warehouse: Into = "warehouse",
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes and threads; by default, one per CPU."),
    ] = None,
    memory_limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="DuckDB's limit, as in 4GB.")
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Bootstrap replicates for intervals and verdicts; by default 200, and more where "
            "a verdict needs them. 0 for none.",
        ),
    ] = None,
    resample: Annotated[
        Resampled,
        typer.Option(
            help="What is drawn again as a whole: databases, where they are known, or queries."
        ),
    ] = Resampled.DATABASE,
    wait_seconds: Wait = 0.0,
    log_format: LogForm = LogFormat.TEXT,
    runner: RunBy = Runner.LOCAL,
    dask_address: DaskAddress = None,
) -> None:
    """Compare all corpora of a corpora file, and publish the results.

    What an earlier run has done with the same dumps is not done again. Exits with 0 when every
    corpus was taken, 3 when some were set aside, 2 when the corpora file is wrong.
    """
    from nl2sql_align.flows.running.command import Manner, run_align

    manner = Manner(threads, memory_limit, wait_seconds, log_format, runner, dask_address)
    raise typer.Exit(run_align(corpora, warehouse, manner, replicates, resample.value))


@app.command(
    rich_help_panel=_MAKE,
    epilog="Example: nl2sql-align nightly dumps --warehouse warehouse-nightly",
)
def nightly(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Where dumps are put.")
    ],
    warehouse: Into = "warehouse",
    settle_minutes: Annotated[
        float,
        typer.Option(
            min=0, metavar="MINUTES", help="Leave a dump that has changed so recently for later."
        ),
    ] = 10.0,
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop corpora whose dumps are gone, and their results.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes and threads; by default, one per CPU."),
    ] = None,
    memory_limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="DuckDB's limit, as in 4GB.")
    ] = None,
    wait_seconds: Wait = 0.0,
    log_format: LogForm = LogFormat.TEXT,
    runner: RunBy = Runner.LOCAL,
    dask_address: DaskAddress = None,
) -> None:
    """Look through folders of dumps, and compare what is there: what the nightly flow does.

    A dump has a corpus.toml in its folder, a NAME.corpus.toml beside its file, or the layout of
    Spider, BIRD, Gretel or a Hugging Face data set. Exits with 3 when something could not be taken.
    """
    from nl2sql_align.flows.running.command import Manner, run_nightly

    manner = Manner(threads, memory_limit, wait_seconds, log_format, runner, dask_address)
    raise typer.Exit(run_nightly(folders, warehouse, manner, settle_minutes, prune))


@app.command(
    rich_help_panel=_READ, epilog="Example: nl2sql-align matrix warehouse --metric js_alignment"
)
def matrix(
    warehouse: Folder,
    metric: Annotated[
        str, typer.Option(metavar="MEASURE", help=f"Which measure: {', '.join(METRICS)}.")
    ] = "kl_alignment",
    all_pairs: Annotated[
        bool, typer.Option("--all", help="Every corpus as a target, not only the targets.")
    ] = False,
    ranked: Annotated[
        bool | None,
        typer.Option(
            "--ranked/--whole",
            help="The closest training sets of each target, or all rows and columns; by default, "
            "what can be read at the terminal's width.",
        ),
    ] = None,
    form: Form = Format.TABLE,
    require: Require = None,
) -> None:
    """Show how well each corpus is aligned with each target.

    1 means the same n-gram distribution, 0.368 (1/e) nothing in common. Numbers have the digits
    that their 95 % intervals allow. JSON and CSV hold every ordered pair with all measures.
    """
    from nl2sql_align.tasks.results import read

    if metric not in METRICS:
        raise typer.BadParameter(
            f"{metric!r} is none of {', '.join(METRICS)}", param_hint="--metric"
        )
    rows = read.matrix(warehouse, require)
    if form is Format.TABLE:
        print_matrix(rows, metric, all_pairs, ranked)
    else:
        print_rows(rows, form)


@app.command(
    rich_help_panel=_READ,
    epilog="Example: nl2sql-align ratio warehouse --require 'alignment_ratio > 0.5'",
)
def ratio(warehouse: Folder, form: Form = Format.TABLE, require: Require = None) -> None:
    """Show the Alignment Ratios: which training set is closer to a target than a model already is.

    Above 1, fine-tuning on the set should help that model on that target; below 1 it should not.
    """
    from nl2sql_align.tasks.results import read

    rows = read.ratio(warehouse, require)
    if form is Format.TABLE:
        print_ratios(rows)
    else:
        print_rows(rows, form)


@app.command(
    rich_help_panel=_READ,
    epilog="Example: nl2sql-align report warehouse --out for-a-colleague.html",
)
def report(
    warehouse: Folder,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it; by default DIR/report.html."),
    ] = None,
) -> None:
    """Write the results as one HTML file that needs no network; a run does so at its end."""
    from nl2sql_align.tasks.views.report import report_file, write_report

    write_report(warehouse, out)
    console.out.print(f"Report: {escape(str(out or report_file(warehouse)))}", soft_wrap=True)


@app.command(
    rich_help_panel=_READ, epilog="Example: nl2sql-align plot ratios warehouse -o ratios.svg"
)
def plot(
    kind: Annotated[Picture, typer.Argument(metavar="KIND", help=f"{', '.join(Picture)}.")],
    warehouse: Folder,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="A .png, .svg or .pdf file.")
    ],
    target: Annotated[
        str | None, typer.Option(metavar="T", help="Which target; by default, the first with rows.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="S", help="For differences: what differs from the target.")
    ] = None,
    metric: Annotated[
        str, typer.Option(metavar="MEASURE", help=f"For matrix: {', '.join(METRICS)}.")
    ] = "kl_alignment",
) -> None:
    """Draw a picture of the results for a paper or a wiki page."""
    from nl2sql_align.tasks.views.pictures import plot

    plot(warehouse, kind.value, out, target=target, source=source, metric=metric)
    console.out.print(f"Picture: {escape(str(out))}", soft_wrap=True)


@app.command(
    rich_help_panel=_READ,
    epilog="Example: nl2sql-align rejects warehouse harbour-train --examples 5",
)
def rejects(
    warehouse: Folder,
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="Which corpus.")],
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Queries to show for each reason.")
    ] = 2,
    form: Form = Format.TABLE,
) -> None:
    """Show which queries of a corpus have no template, and why."""
    from nl2sql_align.tasks.results import read

    rows = read.rejects(warehouse, corpus)
    if form is Format.TABLE:
        print_rejects(rows, corpus, examples)
    else:
        print_rows(rows, form)


@app.command(
    rich_help_panel=_READ,
    epilog="Example: nl2sql-align explain warehouse synth-train orchard-dev --top 5",
)
def explain(
    warehouse: Folder,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A corpus.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="What it is compared with.")],
    top: Annotated[
        int, typer.Option(metavar="N", min=1, help="Groups of n-grams to show a direction.")
    ] = 10,
    form: Form = Format.TABLE,
) -> None:
    """Show why two corpora differ: structures in words, then the n-grams behind the divergence.

    JSON holds all of it, CSV the n-grams.
    """
    from nl2sql_align.tasks.views import explain

    print_explanation(explain.explain(warehouse, source, target, top), form)


@app.command(
    rich_help_panel=_DECIDE, epilog="Example: nl2sql-align headroom warehouse --target orchard-dev"
)
def headroom(
    warehouse: Folder,
    target: Annotated[
        str | None, typer.Option(metavar="T", help="Only this target; by default all.")
    ] = None,
    splits: Annotated[
        int, typer.Option(min=1, metavar="N", help="How often the target is split.")
    ] = 20,
    seed: Annotated[
        str, typer.Option(metavar="TEXT", help="What the splits are hashed from.")
    ] = "0",
    form: Form = Format.TABLE,
) -> None:
    """Show the Headroom Ratios: a second ratio, judged on databases that no answer has seen.

    Above 1, a model's answers mixed with the training set come closer to the target than alone.
    """
    from nl2sql_align.tasks.decisions import headroom

    rows = headroom.headroom(warehouse, target, splits=splits, seed=seed)
    if form is Format.TABLE:
        print_headroom(rows)
    else:
        print_rows(rows, form)


@app.command(
    rich_help_panel=_DECIDE, epilog="Example: nl2sql-align calibrate warehouse outcomes.csv"
)
def calibrate(
    warehouse: Folder,
    outcomes: Annotated[
        Path, typer.Argument(metavar="OUTCOMES.csv", help="Scores before and after tuning.")
    ],
    replicates: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Bootstrap samples behind the interval of a cut."),
    ] = 1000,
    seed: Annotated[
        str, typer.Option(metavar="TEXT", help="What all that is drawn is hashed from.")
    ] = "0",
    form: Form = Format.TABLE,
) -> None:
    """Show how often the ratios were right about real outcomes of fine-tuning.

    The file's columns: model, predictions, train, train_rows, target, metric, before, after. JSON
    holds all of the result, CSV the outcomes with their ratios.
    """
    from nl2sql_align.tasks.decisions import calibration

    print_calibration(
        calibration.calibrate(warehouse, outcomes, seed=seed, replicates=replicates), form
    )


@app.command(
    rich_help_panel=_LOOK,
    epilog='Example: nl2sql-align template "SELECT count(*) FROM singer" --dialect sqlite',
)
def template(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One query; - reads standard input.")],
    dialect: Annotated[
        str, typer.Option(metavar="DIALECT", help="The query's dialect, by sqlglot's name.")
    ] = "sqlite",
    form: Form = Format.TABLE,
) -> None:
    """Print the structural template of one query, or why it is rejected (exit status 1)."""
    from nl2sql_align.tasks.templates.one_query import template_of

    result = template_of(sys.stdin.read() if sql == "-" else sql, dialect)
    if form is not Format.TABLE:
        import polars as pl

        row = {
            "dialect": dialect,
            "template": result.template,
            "reject_reason": result.reject_reason,
        }
        print_rows(pl.DataFrame([row], schema=dict.fromkeys(row, pl.String)), form)
    elif result.template is not None:
        print(result.template)
    else:
        console.err.print(f"rejected: {escape(result.reject_reason or '')}", soft_wrap=True)
    if result.template is None:
        raise typer.Exit(1)


@app.command(
    name="sample-size",
    rich_help_panel=_DECIDE,
    epilog="Example: nl2sql-align sample-size warehouse --target orchard-dev",
)
def sample_size(
    warehouse: Folder,
    target: Annotated[str, typer.Option(metavar="T", help="Which target.")],
    candidates: Annotated[
        str,
        typer.Option(
            "--from", metavar="A,B,C", help="Which training sets to rank; all by default."
        ),
    ] = "",
    n_trials: Annotated[
        int, typer.Option("--trials", min=1, metavar="N", help="Samples of each size.")
    ] = 200,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Another one gives other samples.")
    ] = 0,
    form: Form = Format.TABLE,
) -> None:
    """Show how many of a target's queries it takes to rank training sets as all of them do."""
    from nl2sql_align.tasks.decisions import sample_size

    names = _names(candidates) or None
    rows = sample_size.sample_size(warehouse, target, names, n_trials, seed)
    if form is Format.TABLE:
        print_sample_sizes(rows, sample_size.recommendation(rows))
    else:
        print_rows(rows, form)


Sources = Annotated[
    str,
    typer.Option(
        "--from", metavar="A,B", help="The corpora to take from; by default all for training."
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Another one gives other noise.")]


@app.command(
    rich_help_panel=_DECIDE,
    epilog="Example: nl2sql-align select warehouse --target orchard-dev --budget 200 --out chosen",
)
def select(
    warehouse: Folder,
    target: Annotated[str, typer.Option(metavar="CORPUS", help="What to be like.")],
    budget: Annotated[int, typer.Option(metavar="N", help="How many rows to take.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the rows go.")],
    sources: Sources = "",
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD", help="direct, greedy, importance or random; see docs/selection.md."
        ),
    ] = "direct",
    seed: Seed = 0,
    min_templates: Annotated[
        int, typer.Option(metavar="K", help="Take at least so many distinct templates.")
    ] = 0,
    caps: Annotated[
        list[str] | None,
        typer.Option(
            "--cap", metavar="A=SHARE", help="At most this share of the budget from A; repeatable."
        ),
    ] = None,
    max_share: Annotated[
        float,
        typer.Option(metavar="SHARE", help="At most this share of the budget from any one corpus."),
    ] = 1.0,
    exclude_overlap: Annotated[
        str,
        typer.Option(
            metavar="WHICH",
            help="Leave out rows that the target has: exact, near (other names, the same "
            "template and literals), strict (be they short numbers only) or none.",
        ),
    ] = "near",
    stop: Annotated[
        bool, typer.Option("--stop", help="With greedy: take fewer rows if more make it worse.")
    ] = False,
    form: Form = Format.TABLE,
) -> None:
    """Choose training rows whose templates are distributed as a target's are.

    Writes selection.jsonl and selection.parquet (the rows, with question and all other fields of
    their dumps), selection.json (how they were chosen) and templates.csv into a folder.
    """
    from nl2sql_align.tasks.decisions import selection
    from nl2sql_align.tasks.decisions.selection import Options

    options = Options(
        budget,
        method=method,  # type: ignore[arg-type]
        seed=seed,
        min_templates=min_templates,
        caps=_caps(caps or []),
        max_share=max_share,
        exclude_overlap=exclude_overlap,  # type: ignore[arg-type]
        stop=stop,
    )
    made = selection.select(warehouse, target, _names(sources), out, options)
    if form is Format.TABLE:
        print_selection(made)
    else:
        print_rows(made.sources, form)


@app.command(
    rich_help_panel=_DECIDE,
    epilog="Example: nl2sql-align mix warehouse --target orchard-dev",
)
def mix(
    warehouse: Folder,
    target: Annotated[str, typer.Option(metavar="CORPUS", help="What to be like.")],
    sources: Sources = "",
    replicates: Annotated[
        int,
        typer.Option(metavar="N", help="How often the target is drawn again for the intervals."),
    ] = 200,
    seed: Seed = 0,
    form: Form = Format.TABLE,
) -> None:
    """Weigh whole corpora so that their mixture is as near to a target as it can be."""
    from nl2sql_align.tasks.decisions import mixture

    made = mixture.mix(warehouse, target, _names(sources), replicates, seed)
    if form is Format.TABLE:
        print_mixture(made)
    else:
        print_rows(made.sources, form)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if text and not names:
        raise typer.BadParameter(f"{text!r} names no corpus", param_hint="--from")
    return names


def _caps(given: list[str]) -> dict[str, float]:
    caps = {}
    for one in given:
        name, _, share = one.rpartition("=")
        try:
            caps[name] = float(share)
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(f"{one!r} is not like bird-train=0.5", param_hint="--cap")
    return caps


@app.command(
    rich_help_panel=_LOOK, epilog="Example: nl2sql-align inspect samples/harbour-train.json"
)
def inspect(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A dump: a file, a folder, or a pattern.")
    ],
    glob: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Which files of a folder to take.")
    ] = None,
    dialect: Annotated[
        str,
        typer.Option(
            metavar="DIALECT", help="The SQL's dialect; by default, the one that parses most."
        ),
    ] = "auto",
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="train, target or predictions.")
    ] = "train",
    examples: Annotated[int, typer.Option(min=0, metavar="N", help="Queries to show.")] = 3,
    form: Form = Format.TABLE,
) -> None:
    """Show what a dump is taken for, its first queries, and the entry for a corpora file."""
    from nl2sql_align.tasks.run.inspection import inspect_dump

    found = inspect_dump(path, glob, dialect, role, examples)
    if form is Format.TABLE:
        print_inspection(found)
    elif form is Format.JSON:
        print_object(found.as_dict())
    else:
        import polars as pl

        columns = ("ordinal", "sql", "template", "reject_reason")
        print_rows(pl.DataFrame(found.examples, schema=columns), form)


def main() -> None:
    """Runs the command line; the one place where errors become lines and exit statuses."""
    set_library_defaults()
    collect_rarely()
    try:
        app(prog_name="nl2sql-align")
        status = 0
    except SystemExit as end:  # usage errors among them: the framework has printed what is wrong
        status = end.code if isinstance(end.code, int) else 1
        if isinstance(end.__context__, BrokenPipeError):
            status = 0
    except AlignError as error:
        console.err.print(f"nl2sql-align: {escape(str(error))}", soft_wrap=True)
        status = error.exit_code
    except BrokenPipeError:  # the reader has gone, as in `nl2sql-align matrix DIR | head -1`
        status = 0
    except Exception as error:
        if os.environ.get("NL2SQL_ALIGN_DEBUG"):
            traceback.print_exc()
        problem = f"{type(error).__name__}: {str(error) or 'no message'}".splitlines()[0]
        problem += "; set NL2SQL_ALIGN_DEBUG=1 to see where"
        # What DuckDB tells of an error in a file that we read for it: a traceback, as text.
        if told := re.search(r"^WarehouseError: (.+)$", str(error), re.MULTILINE):
            problem = told[1]
        console.err.print(f"nl2sql-align: {escape(printable(problem))}", soft_wrap=True)
        status = 1
    _leave(status)


def _leave(status: int) -> NoReturn:
    """Exits without a word of a reader that has gone, or of libraries at their end."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    skip_final_collection()
    # Prefect tells of its server, DuckDB of objects that are not collected.
    if not sys.modules.keys().isdisjoint(("prefect", "duckdb")):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(status)


if __name__ == "__main__":
    main()
