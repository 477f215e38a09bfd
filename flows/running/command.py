"""The main job as a command: it runs the flow in this process, and shows how it goes on."""

import json
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from nl2sql_align.flows.running.runners import Runner, check_runner
from nl2sql_align.flows.running.temporary_server import start_unless_there
from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.views.highlights import highlights
from nl2sql_align.tasks.views.terminal.console import LogFormat, err, out, printable, say
from nl2sql_align.tasks.warehouse.object_store import check_store, warehouse_at

if TYPE_CHECKING:
    from nl2sql_align.flows.summary import RunSummary
    from nl2sql_align.tasks.measures.units import Unit


@dataclass(frozen=True)
class Manner:
    """What a run may use, and how it behaves towards others and towards the terminal.

    ``wait_seconds`` is how long to wait where another run holds the warehouse.
    """

    threads: int | None = None
    memory_limit: str | None = None
    wait_seconds: float = 0.0
    log_format: LogFormat = LogFormat.TEXT
    runner: Runner = Runner.LOCAL
    dask_address: str | None = None


def run_align(
    corpora: Path, warehouse: Path | str, manner: Manner, replicates: int | None, unit: "Unit"
) -> int:
    """Runs the main job and prints where the results are.

    Returns:
        The exit status: 0, or 3 where corpora were set aside.
    """
    teller = _Teller(manner.log_format)
    # What stops a run is told at once, before Prefect and its server take their seconds to start.
    check_runner(manner.runner, manner.dask_address)
    with bounded(manner.threads, manner.memory_limit, warehouse_at(warehouse).folder):
        entries = load_corpora(corpora)
    _await(warehouse, manner, teller)
    teller.tell("start", f"{len(entries)} corpora in {corpora}; starting Prefect")
    with _prefect():
        from nl2sql_align.flows.align import (
            align,  # takes its seconds, while the server takes its own
        )
    with teller.showing():
        summary = align(
            corpora,
            warehouse,
            manner.threads,
            manner.memory_limit,
            replicates,
            unit,
            wait_seconds=manner.wait_seconds,
            runner=manner.runner,
            dask_address=manner.dask_address,
        )
    return _tell(summary, warehouse, teller)


def run_nightly(
    folders: list[Path], warehouse: Path | str, manner: Manner, settle_minutes: float, prune: bool
) -> int:
    """Runs the nightly job and prints what it found.

    Returns:
        The exit status: 0, or 3 where something could not be taken.
    """
    teller = _Teller(manner.log_format)
    check_runner(manner.runner, manner.dask_address)
    with bounded(manner.threads, manner.memory_limit, warehouse_at(warehouse).folder):
        pass
    _await(warehouse, manner, teller)
    teller.tell("start", f"{len(folders)} folders to look through; starting Prefect")
    with _prefect():
        from nl2sql_align.flows.nightly import nightly
    with teller.showing():
        summary = nightly(
            folders,
            warehouse,
            settle_minutes,
            prune,
            manner.threads,
            manner.memory_limit,
            wait_seconds=manner.wait_seconds,
            runner=manner.runner,
            dask_address=manner.dask_address,
        )
    if summary is None:
        teller.tell("end", "all dumps are still being copied; nothing was done")
        return 0
    for problem in summary.problems:
        teller.tell("problem", f"nl2sql-align: {problem}")
    status = _tell(summary, warehouse, teller)
    return 3 if summary.problems else status


def _await(warehouse: Path | str, manner: Manner, teller: "_Teller") -> None:
    """Waits for the warehouse, if need be, or raises."""
    house = warehouse_at(warehouse).resolved
    with (
        progress.listening(lambda said: teller.tell(said.stage, said.text)),
        house.locked(manner.wait_seconds),
    ):
        check_store(house)


def _tell(summary: "RunSummary", warehouse: Path | str, teller: "_Teller") -> int:
    """Says what came of a run; its exit status."""
    for reason in summary.set_aside.values():
        teller.tell("set aside", f"nl2sql-align: set aside: {reason}")
    for note in summary.notes:
        teller.tell("note", f"nl2sql-align: note: {printable(note)}")
    n_taken = len({*summary.corpora} - {*summary.set_aside})
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in summary.seconds.items())
    teller.tell(
        "end",
        f"{n_taken} corpora taken, {len(summary.set_aside)} set aside; "
        f"{summary.n_parsed:,} distinct queries parsed, {summary.n_new_pairs:,} of "
        f"{summary.n_pairs:,} pairs measured ({seconds})",
    )
    if not summary.corpora:
        teller.tell("end", "nl2sql-align: no corpus could be taken; nothing was published")
    else:
        print_results(warehouse)
    return 3 if summary.set_aside else 0


def print_results(warehouse: Path | str) -> None:
    """Prints where results are, what is worth knowing of them, and where to look next."""
    shown = escape(str(warehouse))
    if warehouse_at(warehouse).address is None:
        out.print(f"Results: {shown}/alignment.duckdb", soft_wrap=True)
        out.print(f"Report:  {shown}/report.html", soft_wrap=True)
    else:
        out.print(f"Results: {shown}", soft_wrap=True)
        out.print(f"Report:  nl2sql-align report {shown} --out report.html", soft_wrap=True)
    found = highlights(warehouse)
    for number, sentence in enumerate(found.sentences, 1):
        say(escape(printable(sentence)), 2, f"{number}. ")
    out.print("Where to look next:")
    for command, shows in found.next_steps:
        out.print(f"  [bold]{escape(command)}[/]", soft_wrap=True)
        say(escape(shows), 6)


class _Teller:
    """Says what a run does: to people, with bars on a terminal, or to programs, as JSON lines."""

    def __init__(self, form: LogFormat) -> None:
        self._is_json = form is LogFormat.JSON

    def tell(self, stage: str, text: str) -> None:
        """Says one thing that is not a step."""
        if self._is_json:
            self._write(progress.Progress(stage, text))
        else:
            err.print(escape(text), soft_wrap=True)

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Says all that is announced in the block."""
        if self._is_json:
            with progress.listening(self._write):
                yield
        else:
            with _shown():
                yield

    def _write(self, said: progress.Progress) -> None:
        if not said.text:
            return
        line: dict[str, str | int | float] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "stage": said.stage,
            "text": said.text,
            **{
                name: round(fact, 3) if isinstance(fact, float) else fact
                for name, fact in said.facts.items()
            },
        }
        if said.total:
            line |= {"done": said.done, "total": said.total}
        sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stderr.flush()


# Steps would load them one after the other; here it takes no time, for the server takes more.
_NEEDED_LATER: Final = ("scipy.sparse", "scipy.special", "scipy.cluster.hierarchy")


@contextmanager
def _prefect() -> Iterator[None]:
    """Starts a Prefect server, where none is set up, while the block imports what needs it."""
    _silence_prefect()
    _end_on_signals()
    server = start_unless_there()
    yield
    if server is not None:
        for name in _NEEDED_LATER:
            import_module(name)
        try:
            server.wait()
        except OSError as error:
            raise AlignError(
                f"Prefect's server does not start ({error}); check memory and disk, or set "
                "PREFECT_API_URL to a server that is up"
            ) from None
    else:
        _check_server()


def _check_server() -> None:
    """Looks whether the server that is set up answers.

    Raises:
        AlignError: It does not, or there is none.
    """
    from prefect import get_client
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        raise AlignError(
            "Prefect's settings forbid a temporary server, and name no other; set PREFECT_API_URL "
            "to a server that is up, or PREFECT_SERVER_EPHEMERAL_ENABLED to true"
        )
    with get_client(sync_client=True) as client:
        if client.api_healthcheck() is not None:
            raise AlignError(
                f"Prefect's server at {get_current_settings().api.url} does not answer; start it, "
                "or unset PREFECT_API_URL for a temporary one"
            )


def _silence_prefect() -> None:
    """Prefect's own lines are for its server's log; the run tells a person what matters."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    logging.getLogger("prefect").setLevel(logging.CRITICAL)


def _end_on_signals() -> None:
    """Ends this process on these signals as on Ctrl-C: in order."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))


@contextmanager
def _shown() -> Iterator[None]:
    """Bars on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        with progress.listening(_print_line):
            yield
        return
    with Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=_BAR),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
        console=err,
        expand=False,
    ) as bars:
        tasks = {}

        def show(said: progress.Progress) -> None:
            if said.stage not in tasks:
                tasks[said.stage] = bars.add_task(said.stage, total=said.total or 1, text="")
            task = tasks[said.stage]
            if said.total:
                bars.update(task, completed=said.done, total=said.total)
            else:  # a stage is done that told of parts of itself, or of none
                bars.update(task, completed=bars.tasks[task].total)
            if said.text:
                bars.update(task, text=escape(_cut(said.text, err.width - _BESIDE_TEXT)))

        with progress.listening(show):
            yield


_BAR: Final = 8
# Stage, bar, parts, rate, time and time left, with the spaces between
_BESIDE_TEXT: Final = 9 + _BAR + 9 + 7 + 7 + 7 + 6


def _cut(text: str, room: int) -> str:
    """The beginning of a text; nothing where there is no room to speak of."""
    if len(text) <= room:
        return text
    return f"{text[: room - 1]}…" if room > _BAR else ""


class _RateColumn(ProgressColumn):
    """How many parts of a stage are done in a second."""

    def render(self, task: Task) -> Text:
        """The rate; nothing where there is none yet."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s", style="progress.data.speed")


def _print_line(said: progress.Progress) -> None:
    if not said.text:
        return
    counter = f" {said.done}/{said.total}" if said.total else ""
    err.print(f"{said.stage}{counter}: {escape(said.text)}", soft_wrap=True)
