"""The command line, ``nl2sql-align``. Commands that only read results do not import Prefect."""

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import cleandoc
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Final, NoReturn, TypeVar

import typer
from rich.markup import escape
from typer.core import TyperCommand

from nl2sql_align.flows.running.runners import Runner
from nl2sql_align.tasks.base.environment import hide_pandas, set_library_defaults
from nl2sql_align.tasks.base.errors import AlignError, find_disk_reason
from nl2sql_align.tasks.base.garbage import collect_rarely, skip_final_collection
from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.base.progress import Progress, listening
from nl2sql_align.tasks.base.secrets import hide_secrets
from nl2sql_align.tasks.decisions.options import (
    CALIBRATION_REPLICATES,
    GAPS_BUDGET,
    HEADROOM_SPLITS,
    MIXTURE_REPLICATES,
    SAMPLE_TRIALS,
    Method,
    Overlap,
    TrainingLayout,
)
from nl2sql_align.tasks.measures.options import Unit
from nl2sql_align.tasks.results.options import Metric
from nl2sql_align.tasks.views.options import ComparisonFormat, Picture
from nl2sql_align.tasks.views.terminal import console
from nl2sql_align.tasks.views.terminal.calibration import print_calibration
from nl2sql_align.tasks.views.terminal.console import (
    Format,
    LogFormat,
    prepare_streams,
    print_object,
    print_rows,
    printable,
    restore_text,
)
from nl2sql_align.tasks.views.terminal.corpora import (
    print_catalog,
    print_draft,
    print_fingerprint,
    print_inspection,
    print_manifest,
    print_rejects,
)
from nl2sql_align.tasks.views.terminal.decisions import (
    print_gaps,
    print_health,
    print_mixture,
    print_sample_sizes,
    print_selection,
)
from nl2sql_align.tasks.views.terminal.explanation import print_explanation
from nl2sql_align.tasks.views.terminal.headroom import print_headroom
from nl2sql_align.tasks.views.terminal.help import (
    CONTEXT_SETTINGS,
    AnswersCommand,
    CommandGroup,
    show_no_types,
)
from nl2sql_align.tasks.views.terminal.matrix import list_shown_pairs, print_matrix
from nl2sql_align.tasks.views.terminal.ratios import print_ratios, print_slices
from nl2sql_align.tasks.warehouse.addresses import is_address, refuse_credentials
from nl2sql_align.tasks.warehouse.object_store import warehouse_at

_NAME: Final = "nl2sql-align"
# The exit statuses after Ctrl-C, SIGTERM and SIGHUP.
_INTERRUPTED: Final = 130
_STOPPED: Final = (_INTERRUPTED, 143, 129)
# DuckDB's errors about a file that a view of the published database names.
_UNREADABLE: Final = re.compile(
    r"(?:IO Error: No files found that match the pattern|Permission Error: Cannot access file) "
    r'"(.+/(?:ngrams|queries)/[^"]+)"'
)
# The commands that go on where an interrupted one ended.
_KEEPING: Final = {"run", "nightly", "demo"}

app = typer.Typer(
    cls=CommandGroup,
    name=_NAME,
    help="Compare text-to-SQL data sets by the structure of their queries, to decide which one to "
    "fine-tune on.\n\nTo start: nl2sql-align run CORPORA.toml",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
show_no_types()

_PRODUCE, _READ, _DECIDE, _INSPECT = (
    "Produce results",
    "Read results",
    "Make decisions",
    "Inspect queries and files",
)

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _command(
    panel: str, *, example: str, name: str | None = None, cls: type[TyperCommand] | None = None
) -> Callable[[_Command], _Command]:
    """Register a function as a command, with its docstring as the help."""

    def register(function: _Command) -> _Command:
        # Join the lines of each paragraph: Typer would keep the line breaks of the source.
        text = re.sub(r"(?<!\n)\n(?!\n)", " ", cleandoc(function.__doc__ or ""))
        return app.command(
            name, cls=cls, help=text, epilog=f"Example: {_NAME} {example}", rich_help_panel=panel
        )(function)

    return register


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from nl2sql_align import __version__

        print(_NAME, __version__)
        raise typer.Exit


@app.callback()
def _take_global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that come before the command."""


def _parse_place(text: str) -> str:
    """Return the folder or address of the warehouse that a text names, perhaps by its database."""
    return str(warehouse_at(text).place)


CorporaFile = Annotated[
    Path, typer.Argument(metavar="CORPORA.toml", help="TOML file that lists the corpora.")
]
Place = Annotated[
    str,
    typer.Argument(
        parser=_parse_place,
        metavar="DIR",
        help="Warehouse with the results: a folder, or an address such as s3://bucket/prefix.",
    ),
]
Into = Annotated[
    str,
    typer.Option(
        parser=_parse_place,
        metavar="DIR",
        help="Where to write the results: a folder (created if missing), or an address such as "
        "s3://bucket/prefix.",
    ),
]
Form = Annotated[
    Format, typer.Option("--format", help="A table for people; JSON or CSV for programs.")
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Number of processes and threads. By default NL2SQL_ALIGN_THREADS, else one per CPU.",
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="DuckDB's memory limit, such as 4GB. By default NL2SQL_ALIGN_MEMORY_LIMIT, else 4GB.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait",
        min=0,
        metavar="SECONDS",
        help="How long to wait if another run holds the warehouse.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Use a folder that contains other files for the results; they stay as they are.",
    ),
]
LogForm = Annotated[LogFormat, typer.Option(help="Format of progress lines on standard error.")]
RunBy = Annotated[
    Runner,
    typer.Option(help="Where to parse and count: in local processes, or on Dask or Ray workers."),
]
DaskAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of a Dask scheduler. By default, --runner dask starts a cluster on this "
        "machine.",
    ),
]
Require = Annotated[
    str | None,
    typer.Option(
        parser=restore_text,
        metavar="EXPRESSION",
        help="Exit with 4 unless every row satisfies this SQL condition on its columns.",
    ),
]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="CORPUS", help="Show this target only. Repeatable."),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="MODEL", help="Show this model, or this set of answers. Repeatable."
    ),
]
Trains = Annotated[
    list[str] | None,
    typer.Option("--train", metavar="CORPUS", help="Show this training set only. Repeatable."),
]
Sources = Annotated[
    str,
    typer.Option("--from", metavar="A,B", help="Corpora to use. By default, all training sets."),
]
TargetToMatch = Annotated[str, typer.Option(metavar="CORPUS", help="Corpus to match.")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the random draws.")]
Layout = Annotated[
    TrainingLayout | None,
    typer.Option(
        "--as",
        metavar="LAYOUT",
        help=f"Also write the rows for a trainer: {', '.join(TrainingLayout)}.",
    ),
]
PromptFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --as: the prompt, with the fields {question}, {schema}, {evidence}, "
        "{dialect} and {db_id}.",
    ),
]
SystemFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="With --as: the system prompt.")
]
SchemasFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --as: a tables.json of Spider or BIRD, for rows without a schema.",
    ),
]
KeepAccidental = Annotated[
    bool,
    typer.Option(
        "--keep-accidental",
        help="Keep rows that parse by accident, because a name in them lacks quotes.",
    ),
]


@_command(_PRODUCE, example="run samples/corpora.toml --warehouse warehouse")
def run(
    corpora: CorporaFile,
    warehouse: Into = "warehouse",
    threads: Threads = None,
    memory_limit: MemoryLimit = None,
    replicates: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Number of bootstrap replicates for intervals and verdicts; 0 to skip them. By "
            "default 200 for alignments, 600 for ratios, and more where a verdict needs them.",
        ),
    ] = None,
    resample: Annotated[
        Unit,
        typer.Option(help="Unit to resample: whole databases, where they are known, or queries."),
    ] = Unit.DATABASE,
    wait_seconds: Wait = 0.0,
    log_format: LogForm = LogFormat.TEXT,
    runner: RunBy = Runner.LOCAL,
    dask_address: DaskAddress = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Run even if nothing has changed, and use a folder that contains other files for "
            "the results; they stay as they are.",
        ),
    ] = False,
) -> None:
    """Compare all corpora in a corpora file and publish the results.

    Reuses the results of earlier runs on the same dumps, and ends at once if nothing has changed.
    Exits with 0 if every corpus was used, 3 if some were set aside, and 2 if the corpora file is
    not valid.
    """
    from nl2sql_align.flows.running.command import RunOptions, run_align

    options = RunOptions(
        threads, memory_limit, wait_seconds, log_format, runner, dask_address, force
    )
    raise typer.Exit(run_align(corpora, warehouse, options, replicates, resample))


@_command(
    _PRODUCE, example="compare train.json dev.json --answers predictions.sql", cls=AnswersCommand
)
def compare(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="TRAIN... TARGET",
            help="Training sets, then the target: files, folders, archives or addresses.",
        ),
    ],
    answers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Answers of a model to the questions of the target. Repeatable."
        ),
    ] = None,
    dialect: Annotated[
        str,
        typer.Option(metavar="DIALECT", help="SQL dialect of all files, as sqlglot names it."),
    ] = "auto",
    threads: Threads = None,
    memory_limit: MemoryLimit = None,
    form: Annotated[
        ComparisonFormat,
        typer.Option("--format", help="Text for people, or JSON, Markdown or an HTML page."),
    ] = ComparisonFormat.TABLE,
    require: Require = None,
) -> None:
    """Compare training sets with a target directly, without a corpora file or a warehouse.

    The numbers are those of run. Formats and dialects are recognized, and the output says which.
    Exits with 3 if some files could not be used.
    """
    from nl2sql_align.tasks.views.comparison import compare
    from nl2sql_align.tasks.views.terminal.comparison import print_comparison

    if len(paths) < 2:
        raise typer.BadParameter("name a training set and the target", param_hint="TARGET")
    *train, target = map(_as_place, paths)
    made = compare(
        train,
        target,
        [_as_place(one) for one in answers] if answers else None,
        dialect=dialect,
        threads=threads,
        memory_limit=memory_limit,
        require=require,
    )
    print_comparison(made, form)
    raise typer.Exit(3 if made.set_aside else 0)


@_command(_PRODUCE, example="demo demo")
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to write the samples and the results.")
    ] = Path("nl2sql-align-demo"),
) -> None:
    """Compare the sample corpora that come with the program, and write the report.

    Takes seconds. The samples are invented, small and free to use.
    """
    from nl2sql_align.flows.running.command import Reporter, print_results
    from nl2sql_align.tasks.views.demo import run_demo

    with Reporter(LogFormat.TEXT).showing_progress():
        run_demo(folder)
    print_results(folder / "warehouse")


@_command(_PRODUCE, example="init dumps -o corpora.toml")
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder with dumps, query logs and answers.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="Corpora file to write.")
    ] = Path("corpora.toml"),
) -> None:
    """Write a corpora file for a folder, with its guesses and their reasons as comments.

    Roles are guessed from names (train, dev, predictions) and formats (query logs are targets). The
    file also lists the files that were left out, with the reason.
    """
    from nl2sql_align.flows.running.command import Reporter
    from nl2sql_align.tasks.run.corpora_draft import draft_corpora

    with Reporter(LogFormat.TEXT).showing_progress():
        made = draft_corpora(folder, out)
    print_draft(made)


@_command(_PRODUCE, example="nightly dumps --warehouse warehouse-nightly")
def nightly(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders to search for dumps.")
    ],
    warehouse: Into = "warehouse",
    settle_minutes: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="MINUTES",
            help="Skip dumps that changed more recently than this: they may still be copying.",
        ),
    ] = 10.0,
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop the results of corpora whose dumps are gone.")
    ] = False,
    allow: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder that links and descriptions in the folders may lead to; repeatable. Dumps "
            "elsewhere are refused.",
        ),
    ] = None,
    threads: Threads = None,
    memory_limit: MemoryLimit = None,
    wait_seconds: Wait = 0.0,
    log_format: LogForm = LogFormat.TEXT,
    runner: RunBy = Runner.LOCAL,
    dask_address: DaskAddress = None,
    force: Force = False,
) -> None:
    """Compare all dumps found in folders, as the nightly flow does.

    A dump is recognized by a corpus.toml in its folder, a NAME.corpus.toml next to its file, or the
    layout of Spider, BIRD, Gretel or a Hugging Face data set. Exits with 3 if some dumps could not
    be used.
    """
    from nl2sql_align.flows.running.command import RunOptions, run_nightly

    options = RunOptions(
        threads, memory_limit, wait_seconds, log_format, runner, dask_address, force
    )
    raise typer.Exit(run_nightly(folders, warehouse, options, settle_minutes, prune, allow))


@_command(_READ, example="matrix warehouse --metric js_alignment")
def matrix(
    place: Place,
    metric: Annotated[
        Metric, typer.Option(metavar="MEASURE", help=f"Measure to show: {', '.join(Metric)}.")
    ] = Metric.KL_ALIGNMENT,
    all_pairs: Annotated[
        bool,
        typer.Option(
            "--all", help="Use every corpus as a target, not only corpora with that role."
        ),
    ] = False,
    ranked: Annotated[
        bool | None,
        typer.Option(
            "--ranked/--whole",
            help="Show the closest training sets of each target, or all rows and columns. By "
            "default, whichever is readable at the width of the terminal.",
        ),
    ] = None,
    targets: Targets = None,
    models: Models = None,
    trains: Trains = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Show the N closest training sets of each target, by --metric."
        ),
    ] = None,
    form: Form = Format.TABLE,
    require: Require = None,
) -> None:
    """Show how well each corpus is aligned with each target.

    An alignment of 1 means identical n-gram distributions, 0.368 (1/e) nothing in common. Numbers
    have as many digits as their 95% intervals support. JSON and CSV contain all measures of every
    ordered pair. --require tests the pairs of the table, or of the JSON or CSV.
    """
    from nl2sql_align.tasks.results import read

    is_table = form is Format.TABLE
    rows = read.matrix(
        place,
        None if is_table else require,
        targets=targets or (),
        models=models or (),
        trains=trains or (),
        top=top,
        metric=metric,
    )
    if is_table:
        is_all = all_pairs or bool(targets)
        if require is not None:
            read.check_condition(list_shown_pairs(rows, is_all), require)
        print_matrix(rows, metric, is_all, ranked, top)
    else:
        print_rows(rows, form)


@_command(_READ, example="ratio warehouse --require 'alignment_ratio > 0.5'")
def ratio(
    place: Place,
    targets: Targets = None,
    models: Models = None,
    trains: Trains = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Show the N closest training sets for each set of answers."
        ),
    ] = None,
    is_all: Annotated[
        bool,
        typer.Option("--all", help="Show all training sets, not only the best for each model."),
    ] = False,
    form: Form = Format.TABLE,
    require: Require = None,
) -> None:
    """Show the Alignment Ratios: is a training set closer to a target than a model already is?

    Above 1, fine-tuning the model on the training set should help on the target; below 1, it should
    not. With more than three sets of answers, the best training set of each is shown, untuned
    models first. JSON and CSV contain everything.
    """
    from nl2sql_align.tasks.results import read

    rows = read.ratio(
        place, require, targets=targets or (), models=models or (), trains=trains or (), top=top
    )
    if form is Format.TABLE:
        print_ratios(rows, is_all=is_all or top is not None)
    else:
        print_rows(rows, form)


@_command(_READ, example="slices warehouse --target orchard-dev")
def slices(
    place: Place,
    targets: Targets = None,
    models: Models = None,
    trains: Trains = None,
    is_all: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Show all models, and all training sets for each slice, not only the closest.",
        ),
    ] = False,
    form: Form = Format.TABLE,
    require: Require = None,
) -> None:
    """Show alignments, reach and ratios for each slice of a target, such as each difficulty.

    The slices are the values of a column of the target's dump, which columns.slice names in the
    corpora file. JSON and CSV contain everything.
    """
    from nl2sql_align.tasks.results import read

    rows = read.slices(
        place, require, targets=targets or (), models=models or (), trains=trains or ()
    )
    if form is Format.TABLE:
        print_slices(rows, is_all=is_all)
    else:
        print_rows(rows, form)


@_command(_READ, example="report warehouse --out for-a-colleague.html")
def report(
    place: Place,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write. By default, DIR/report.html."),
    ] = None,
    without_sql: Annotated[
        bool,
        typer.Option("--without-sql", help="Show templates only, and no text of any dump."),
    ] = False,
) -> None:
    """Write the report, one HTML file that works offline. Every run writes it, too."""
    from nl2sql_align.tasks.views.report import report_file, write_report

    write_report(place, out, without_sql=without_sql)
    console.out.print(f"Report: {escape(str(out or report_file(place)))}", soft_wrap=True)


@_command(_READ, example="relocate /new/place/warehouse")
def relocate(place: Place) -> None:
    """Point the views of a moved or copied warehouse to the files in its folder.

    The commands of this program do not need this. Other DuckDB clients do, because the views
    `queries` and `ngram_counts` name Parquet files by their full paths.
    """
    from nl2sql_align.tasks.results.record import relocate

    n_files = relocate(place)
    done = f"now name {count_noun(n_files, 'file')}" if n_files else "already name the files"
    console.out.print(f"The views {done} in {escape(place)}", soft_wrap=True)


@_command(_READ, example="plot ratios warehouse -o ratios.svg")
def plot(
    kind: Annotated[
        Picture,
        typer.Argument(metavar="KIND", help=f"Picture to draw: {', '.join(Picture)}."),
    ],
    place: Place,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="File to write: .png, .svg or .pdf.")
    ],
    target: Annotated[
        str | None,
        typer.Option(metavar="CORPUS", help="Target to draw. By default, the first with results."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="CORPUS",
            help="For differences: corpus to compare with the target. By default, the closest "
            "training set.",
        ),
    ] = None,
    metric: Annotated[
        Metric,
        typer.Option(metavar="MEASURE", help=f"For matrix: draw one of {', '.join(Metric)}."),
    ] = Metric.KL_ALIGNMENT,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTH",
            help="Width in millimeters, or single or double for one column of a printed page or "
            "both (84 and 174 mm). By default, the chart decides.",
        ),
    ] = None,
) -> None:
    """Draw a picture of the results, for a paper or a wiki page."""
    from nl2sql_align.tasks.views.pictures import plot

    with listening(_print_title):
        plot(place, kind, out, target=target, source=source, metric=metric, width=width)
    console.out.print(f"Picture: {escape(str(out))}", soft_wrap=True)


@_command(_READ, example="rejects warehouse harbour-train --examples 5")
def rejects(
    place: Place,
    corpus: Annotated[str, typer.Argument(metavar="CORPUS", help="Name of the corpus.")],
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of queries to show for each reason.")
    ] = 2,
    form: Form = Format.TABLE,
) -> None:
    """Show which queries of a corpus have no template, and why."""
    from nl2sql_align.tasks.results import read

    rows = read.rejects(place, corpus)
    if form is Format.TABLE:
        print_rejects(rows, corpus, examples)
    else:
        print_rows(rows, form)


@_command(_READ, example="explain warehouse synth-train orchard-dev --top 5")
def explain(
    place: Place,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Corpus to explain.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Corpus to compare it with.")],
    top: Annotated[
        int, typer.Option(metavar="N", min=1, help="Groups of n-grams to show per direction.")
    ] = 10,
    form: Form = Format.TABLE,
) -> None:
    """Show why two corpora differ: structures in words, then the n-grams behind the divergence.

    JSON contains everything, CSV the n-grams.
    """
    from nl2sql_align.tasks.views import explain

    print_explanation(explain.explain(place, source, target, top), form)


@_command(_DECIDE, example="headroom warehouse --target orchard-dev")
def headroom(
    place: Place,
    target: Annotated[
        str | None, typer.Option(metavar="CORPUS", help="Target to judge. By default, all.")
    ] = None,
    splits: Annotated[
        int, typer.Option(min=1, metavar="N", help="Number of times to split the target in halves.")
    ] = HEADROOM_SPLITS,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the splits.")] = 0,
    is_all: Annotated[
        bool,
        typer.Option("--all", help="Show all training sets, not only those that can help."),
    ] = False,
    form: Form = Format.TABLE,
) -> None:
    """Show the Headroom Ratios: a second ratio, measured on databases held out from the answers.

    Above 1, a model's answers mixed with the training set are closer to the target than the answers
    alone.
    """
    from nl2sql_align.tasks.decisions import headroom

    rows = headroom.headroom(place, target, splits=splits, seed=seed)
    if form is Format.TABLE:
        print_headroom(rows, place, is_all=is_all)
    else:
        print_rows(rows, form)


@_command(_DECIDE, example="calibrate warehouse outcomes.csv")
def calibrate(
    place: Place,
    outcomes: Annotated[
        Path, typer.Argument(metavar="OUTCOMES.csv", help="Scores before and after fine-tuning.")
    ],
    replicates: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Number of bootstrap replicates for the interval of a cut-off."
        ),
    ] = CALIBRATION_REPLICATES,
    seed: Seed = 0,
    form: Form = Format.TABLE,
) -> None:
    """Show how often the ratios predicted real outcomes of fine-tuning.

    The file has the columns model, predictions, train, train_rows, target, metric, before, after.
    JSON contains the whole result, CSV the outcomes with their ratios.
    """
    from nl2sql_align.tasks.decisions import calibration

    print_calibration(
        calibration.calibrate(place, outcomes, seed=seed, replicates=replicates), form
    )


@_command(_INSPECT, example='template "SELECT count(*) FROM singer" --dialect sqlite')
def template(
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="Query to parse; - reads standard input.")
    ],
    dialect: Annotated[
        str, typer.Option(metavar="DIALECT", help="SQL dialect, as sqlglot names it.")
    ] = "sqlite",
    form: Form = Format.TABLE,
) -> None:
    """Print the structural template of one query, or the reason it is rejected.

    Exits with 1 if it is rejected.
    """
    from nl2sql_align.tasks.templates.one_query import template_of

    result = template_of(restore_text(sys.stdin.read() if sql == "-" else sql), dialect)
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


@_command(_DECIDE, name="sample-size", example="sample-size warehouse --target orchard-dev")
def sample_size(
    place: Place,
    target: Annotated[str, typer.Option(metavar="CORPUS", help="Target to sample.")],
    candidates: Annotated[
        str,
        typer.Option(
            "--from", metavar="A,B", help="Training sets to rank. By default, all of them."
        ),
    ] = "",
    n_trials: Annotated[
        int, typer.Option("--trials", min=1, metavar="N", help="Number of samples of each size.")
    ] = SAMPLE_TRIALS,
    seed: Seed = 0,
    form: Form = Format.TABLE,
) -> None:
    """Show how many queries of a target are enough to rank training sets."""
    from nl2sql_align.tasks.decisions import sample_size

    names = _parse_names(candidates) or None
    rows = sample_size.sample_size(place, target, names, n_trials, seed)
    if form is Format.TABLE:
        print_sample_sizes(rows, sample_size.recommend_size(rows))
    else:
        print_rows(rows, form)


@_command(_DECIDE, example="select warehouse --target orchard-dev --budget 200 --out chosen")
def select(
    place: Place,
    target: TargetToMatch,
    budget: Annotated[int, typer.Option(metavar="N", help="Number of rows to choose.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write the rows to.")],
    sources: Sources = "",
    method: Annotated[
        Method,
        typer.Option(
            metavar="METHOD",
            help="How to choose: direct, greedy, importance or random; see docs/selection.md.",
        ),
    ] = Method.DIRECT,
    seed: Seed = 0,
    min_templates: Annotated[
        int, typer.Option(metavar="K", help="Choose at least this many distinct templates.")
    ] = 0,
    caps: Annotated[
        list[str] | None,
        typer.Option(
            "--cap",
            metavar="A=SHARE",
            help="Take at most this share of the budget from corpus A. Repeatable.",
        ),
    ] = None,
    max_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="Take at most this share of the budget from any one corpus."
        ),
    ] = 1.0,
    exclude_overlap: Annotated[
        Overlap,
        typer.Option(
            metavar="WHICH",
            help="Leave out rows that the target also has: exact (same text), near (also same "
            "template and literals), strict (also if all literals are short numbers or "
            "placeholders) or none.",
        ),
    ] = Overlap.NEAR,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of the questions of the target, such as error rates of a model: a table "
            "with the columns weight, and id or ordinal.",
        ),
    ] = None,
    keep_accidental: KeepAccidental = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Choose fewer rows if more make it worse.")
    ] = False,
    layout: Layout = None,
    prompt: PromptFile = None,
    system: SystemFile = None,
    schemas: SchemasFile = None,
    validation_share: Annotated[
        float,
        typer.Option(
            "--validation",
            metavar="SHARE",
            help="With --as: hold out whole databases with about this share of the rows.",
        ),
    ] = 0.0,
    form: Form = Format.TABLE,
) -> None:
    """Choose training rows whose templates are distributed like those of a target.

    Writes selection.jsonl and selection.parquet (the rows, with the question and all other fields
    of their dumps), selection.json (how they were chosen) and templates.csv. With --as, it also
    writes train.jsonl (train.parquet for verl), which trainers load as they are.
    """
    from nl2sql_align.tasks.decisions import selection
    from nl2sql_align.tasks.decisions.selection import SelectionOptions
    from nl2sql_align.tasks.decisions.training_files import TrainingOptions

    options = SelectionOptions(
        budget,
        method=method,
        seed=seed,
        min_templates=min_templates,
        caps=_parse_caps(caps or []),
        max_share=max_share,
        exclude_overlap=exclude_overlap,
        keep_accidental=keep_accidental,
        stop=stop,
    )
    training = None
    if layout is not None:
        training = TrainingOptions(layout, prompt, system, schemas, validation_share)
    elif prompt or system or schemas or validation_share:
        raise typer.BadParameter("--prompt, --system, --schemas and --validation need --as")
    made = selection.select(place, target, _parse_names(sources), out, options, training, weights)
    if form is Format.TABLE:
        print_selection(made)
    else:
        print_rows(made.sources, form)


@_command(_DECIDE, example="mix warehouse --target orchard-dev")
def mix(
    place: Place,
    target: TargetToMatch,
    sources: Sources = "",
    replicates: Annotated[
        int,
        typer.Option(metavar="N", help="Number of bootstrap replicates for the intervals."),
    ] = MIXTURE_REPLICATES,
    seed: Seed = 0,
    keep_accidental: KeepAccidental = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="With --as: the folder to write to."),
    ] = None,
    layout: Layout = None,
    prompt: PromptFile = None,
    system: SystemFile = None,
    schemas: SchemasFile = None,
    form: Form = Format.TABLE,
) -> None:
    """Find the mixture of whole corpora that is closest to a target.

    With --as and --out, it also writes the rows of each corpus for a trainer, and training.md with
    the settings that mix them: probabilities for Hugging Face datasets and TRL, interleave_probs
    for LLaMA-Factory.
    """
    from nl2sql_align.tasks.decisions import mixture
    from nl2sql_align.tasks.decisions.training_files import TrainingOptions

    if layout is None and (out or prompt or system or schemas):
        raise typer.BadParameter("--out, --prompt, --system and --schemas need --as")
    if layout is not None and out is None:
        raise typer.BadParameter("--as needs --out, the folder to write to")
    training = None if layout is None else TrainingOptions(layout, prompt, system, schemas)
    made = mixture.mix(
        place, target, _parse_names(sources), replicates, seed, keep_accidental, out, training
    )
    if form is Format.TABLE:
        print_mixture(made, place)
    else:
        print_rows(made.sources, form)


@_command(_DECIDE, example="gaps warehouse harbour-train orchard-dev -o seeds.jsonl")
def gaps(
    place: Place,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Training set to complete.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Corpus to match.")],
    pool: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="A,B",
            help="Other corpora that may have such rows. By default, all training sets.",
        ),
    ] = "",
    budget: Annotated[
        int, typer.Option(metavar="N", help="Largest number of rows to add.")
    ] = GAPS_BUDGET,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="File to write the templates to (JSONL)."),
    ] = None,
    seed: Seed = 0,
    form: Form = Format.TABLE,
) -> None:
    """Show which rows to write, label or generate next: the templates that a training set lacks.

    Lists templates of the target, first those whose rows raise the alignment most, with the number
    of rows to add, the structure in words, and an example.
    """
    from nl2sql_align.tasks.decisions import gaps

    made = gaps.gaps(place, source, target, _parse_names(pool), budget, out, seed=seed)
    if form is Format.TABLE:
        print_gaps(made, out)
    else:
        print_rows(made.templates, form)


@_command(_INSPECT, example="check samples/corpora.toml --fail-on leak")
def check(
    corpora: CorporaFile,
    schemas: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A tables.json of Spider or BIRD. Repeatable. One next to a dump is used in any "
            "case.",
        ),
    ] = None,
    fail_on: Annotated[
        str,
        typer.Option(
            metavar="KIND,...",
            help="Exit with 4 if there are findings of these kinds, such as leak or missing-table.",
        ),
    ] = "",
    threads: Threads = None,
    memory_limit: MemoryLimit = None,
    form: Form = Format.TABLE,
) -> None:
    """Check data sets for repeated rows, leaks, contradictions, rejects, and missing tables.

    Executes no query. JSON and CSV list every finding with its row. Exits with 3 if some corpora
    were set aside.
    """
    from nl2sql_align.tasks.decisions import health

    kinds = [kind.strip() for kind in fail_on.split(",") if kind.strip()]
    health.expand_kinds(kinds)
    made = health.check(corpora, schemas or (), threads=threads, memory_limit=memory_limit)
    if form is Format.TABLE:
        print_health(made)
    else:
        print_rows(made.findings, form)
    for reason in made.set_aside.values():
        console.err.print(f"{_NAME}: {escape(reason)}", soft_wrap=True)
    made.require_none(kinds)
    raise typer.Exit(3 if made.set_aside else 0)


@_command(_INSPECT, example="inspect samples/harbour-train.json")
def inspect(
    path: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Dump: a file, a folder, a glob pattern or an address."
        ),
    ],
    glob: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Files to read in a folder.")
    ] = None,
    dialect: Annotated[
        str,
        typer.Option(
            metavar="DIALECT",
            help="SQL dialect, as sqlglot names it; auto takes the dump's own, or the one that "
            "parses the most.",
        ),
    ] = "auto",
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="Role in the entry: train, target or predictions.")
    ] = "train",
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of queries to show.")
    ] = 3,
    form: Form = Format.TABLE,
) -> None:
    """Show how a dump is read: its format, first queries, and entry for a corpora file."""
    from nl2sql_align.tasks.run.inspection import inspect_dump

    found = inspect_dump(_as_place(path), glob, dialect, role, examples)
    if form is Format.TABLE:
        print_inspection(found)
    elif form is Format.JSON:
        print_object(found.as_dict())
    else:
        import polars as pl

        columns = ("ordinal", "sql", "template", "reject_reason")
        print_rows(pl.DataFrame(found.examples, schema=columns), form)


@_command(_INSPECT, example="fingerprint queries.csv -o shop.fingerprint.parquet")
def fingerprint(
    logs: Annotated[
        list[str],
        typer.Argument(metavar="LOG...", help="Logs or other dumps: files, folders or addresses."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE", help="File to write, in Parquet.")
    ],
    min_count: Annotated[
        int,
        typer.Option(
            min=1, metavar="K", help="Leave out templates that fewer than this many queries have."
        ),
    ] = 1,
    dialect: Annotated[
        str,
        typer.Option(metavar="DIALECT", help="SQL dialect of all logs, as sqlglot names it."),
    ] = "auto",
) -> None:
    """Write the templates of a log with their frequencies, to compare it without its SQL.

    The file has keywords, operators and functions that the dialect knows; other functions are
    called FUNCTION. It has no names, literals, comments, questions or paths. Check it with show
    before you share it. In a corpora file, or in compare, it takes the place of the log.
    """
    from nl2sql_align.tasks.run.fingerprint import fingerprint

    made = fingerprint(logs, out, min_count, dialect)
    for note in made.notes:
        console.err.print(escape(printable(note)), soft_wrap=True)
    print_manifest(made.manifest)
    console.out.print(f"Fingerprint: {escape(str(out))}", soft_wrap=True)


@_command(_INSPECT, example="show shop.fingerprint.parquet")
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Fingerprint to show.")],
    form: Form = Format.TABLE,
) -> None:
    """Show all that a fingerprint contains: how it was made, and every line."""
    from nl2sql_align.tasks.templates.fingerprints import read_fingerprint

    found = read_fingerprint(path)
    if form is Format.TABLE:
        print_fingerprint(found)
    elif form is Format.JSON:
        print_object(found.as_dict())
    else:
        import polars as pl

        print_rows(pl.DataFrame(found.lines), form)


@_command(_INSPECT, example="catalog spider-train spider-dev")
def catalog(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Data sets whose entries to print."),
    ] = None,
    form: Form = Format.TABLE,
) -> None:
    """List public data sets; with names, print their entries for a corpora file.

    Addresses that start with hf:// need the extra hf, those that start with https:// the package
    aiohttp. Nothing is fetched before a run.
    """
    from nl2sql_align.tasks.run.catalog import describe_entry, format_catalog, list_catalog

    entries = list_catalog(names or ())
    if form is Format.TABLE and names:
        sys.stdout.write(format_catalog(entries))
    elif form is Format.TABLE:
        print_catalog([describe_entry(entry) for entry in entries])
    else:
        import polars as pl

        print_rows(pl.DataFrame([describe_entry(entry) for entry in entries]), form)


def _print_title(step: Progress) -> None:
    if step.stage == "picture":
        console.out.print(escape(step.text), soft_wrap=True)


def _as_place(text: str) -> Path | str:
    return text if is_address(text) else Path(text)


def _parse_names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if text and not names:
        raise typer.BadParameter(f"{text!r} names no corpus", param_hint="--from")
    return names


def _parse_caps(given: list[str]) -> dict[str, float]:
    caps = {}
    for cap in given:
        name, _, share = cap.rpartition("=")
        try:
            caps[name] = float(share)
        except ValueError:
            name = ""
        if not name:
            raise typer.BadParameter(
                f"{cap!r} does not look like bird-train=0.5", param_hint="--cap"
            )
    return caps


def main() -> None:
    """Run the command line and exit."""
    prepare_streams()
    hide_pandas()
    set_library_defaults()
    collect_rarely()
    _exit_quietly(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    This is the only place where errors become messages and exit statuses.
    """
    with _noting_interrupts() as interrupts:
        status = _invoke(arguments, interrupts)
    if status in _STOPPED:
        how = "the same command starts again"
        if {*arguments[:1]} & _KEEPING:
            how = "finished work is kept, and the same command goes on from there"
        console.err.print(f"{_NAME}: stopped; {how}", soft_wrap=True)
    return status


def _invoke(arguments: Sequence[str], interrupts: Sequence[int]) -> int:
    try:
        _refuse_credentials(arguments)
        app(args=arguments, prog_name=_NAME)
        return 0
    except SystemExit as end:  # also after usage errors, which Typer has printed
        if isinstance(end.__context__, BrokenPipeError):
            return 0
        return end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:  # the reader is gone, as in `nl2sql-align matrix DIR | head -1`
        return 0
    except KeyboardInterrupt:  # the second one, while the first ends the command
        return _INTERRUPTED
    except Exception as error:
        if interrupts:  # a library, such as DuckDB, has made another error of it
            return _INTERRUPTED
        if isinstance(error, AlignError):
            console.err.print(f"{_NAME}: {escape(str(error))}", soft_wrap=True)
            return error.exit_code
        if os.environ.get("NL2SQL_ALIGN_DEBUG"):
            traceback.print_exc()
        problem = hide_secrets(_describe_unexpected(error))
        console.err.print(f"{_NAME}: {escape(printable(problem))}", soft_wrap=True)
        return 1


@contextmanager
def _noting_interrupts() -> Iterator[list[int]]:
    """Yield a list to which each interrupt (Ctrl-C) is added, before it is raised."""
    interrupts: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    # A shell lets jobs in the background ignore it; threads other than the main one get none.
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or (
        threading.current_thread() is not threading.main_thread()
    ):
        yield interrupts
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _describe_unexpected(error: Exception) -> str:
    """Describe an error of a library or of the system in one line."""
    # DuckDB turns an error raised by our file system into the text of a traceback.
    if reported := re.search(r"^WarehouseError: (.+)$", str(error), re.MULTILINE):
        return reported[1]
    if reason := find_disk_reason(error):
        place = getattr(error, "filename", None) or "a file or the output"
        return f"{place} cannot be written ({reason}); check the disk, and run again"
    if "Corrupt database file" in str(error):
        return (
            f"the published database is damaged ({str(error).splitlines()[0]}); run again with the "
            "same --warehouse, which makes it again"
        )
    if missing := _UNREADABLE.match(str(error)):
        return (
            f"the published database names {missing[1]}, which is missing or in another folder; "
            "copy the whole folder of the results, or run again"
        )
    if isinstance(error, UnicodeEncodeError):
        return (
            f"a name cannot be written in {sys.getfilesystemencoding()}, the encoding of the "
            "locale; set LC_ALL=C.UTF-8, or rename the file"
        )
    problem = f"{type(error).__name__}: {str(error) or 'no message'}".splitlines()[0]
    return f"{problem}; set NL2SQL_ALIGN_DEBUG=1 to see where"


def _refuse_credentials(arguments: Sequence[str]) -> None:
    """Refuse arguments that are addresses with credentials, before a usage error quotes one.

    Arguments that contain an address, such as queries, are left alone.
    """
    for argument in arguments:
        value = re.sub(r"^(--[a-z-]+=|-[a-z])", "", argument)
        if re.match(r"[^\s'\"(]+:/", value):
            refuse_credentials(value)


def _exit_quietly(status: int) -> NoReturn:
    """Exit without messages about closed pipes or from libraries that shut down."""
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        try:
            stream.flush()
        except OSError:  # the reader is gone, or the disk of the messages is full
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    skip_final_collection()
    # Prefect logs the end of its server, and DuckDB's bindings list the objects that are still
    # alive because the final garbage collection is skipped.
    if not sys.modules.keys().isdisjoint(("prefect", "duckdb")):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(status)


if __name__ == "__main__":
    main()
