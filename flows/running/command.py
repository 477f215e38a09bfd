"""The commands ``run`` and ``nightly``: run a flow in this process and show its progress."""

import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
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

from nl2sql_align.flows.running.proxies import check_proxies
from nl2sql_align.flows.running.runners import Runner, check_runner
from nl2sql_align.flows.running.temporary_server import start_unless_configured
from nl2sql_align.tasks.base import progress
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import AlignError
from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.measures.options import Resampling, Unit
from nl2sql_align.tasks.views.terminal.console import LogFormat, err, out, printable, say, to_json
from nl2sql_align.tasks.warehouse.object_store import check_store, warehouse_at

if TYPE_CHECKING:
    from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
    from nl2sql_align.tasks.run.summary import RunSummary
    from nl2sql_align.tasks.views.highlights import Highlights
    from nl2sql_align.tasks.warehouse.folder import Warehouse


SECONDS_TO_EXIT: Final = 5.0
"""How long a run may take to exit in order after a signal."""

_MAX_SKIPPED: Final = 20
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class RunOptions:
    """The options that ``run`` and ``nightly`` share.

    ``wait_seconds`` is how long to wait if another run has locked the warehouse; ``force`` allows a
    folder that contains other files, and runs even if nothing has changed.
    """

    threads: int | None = None
    memory_limit: str | None = None
    wait_seconds: float = 0.0
    log_format: LogFormat = LogFormat.TEXT
    runner: Runner = Runner.LOCAL
    dask_address: str | None = None
    force: bool = False


def run_align(
    corpora: Path,
    place: Path | str,
    options: RunOptions,
    replicates: int | None,
    unit: Unit,
) -> int:
    """Run the main job and print where the results are.

    Returns:
        The exit status: 0, or 3 if corpora were set aside.
    """
    reporter = Reporter(options.log_format)
    # Report mistakes now: Prefect and its server take seconds to start.
    check_runner(options.runner, options.dask_address)
    with bounded(options.threads, options.memory_limit, warehouse_at(place).folder):
        entries = load_corpora(corpora)
    with _waiting_for_warehouse(place, options, reporter) as warehouse:
        last_end = None if options.force else _find_same_run(entries, warehouse, replicates, unit)
    if last_end is not None:
        _report_same_run(last_end, place, reporter)
        return 0
    reporter.report("start", f"{len(entries)} corpora in {corpora}; starting Prefect")
    with _prefect_server():
        from nl2sql_align.flows.align import align
    with reporter.showing_progress():
        summary = align(
            corpora,
            place,
            options.threads,
            options.memory_limit,
            replicates,
            unit,
            wait_seconds=options.wait_seconds,
            runner=options.runner,
            dask_address=options.dask_address,
            force=options.force,
        )
    return _report_summary(summary, place, reporter)


def run_nightly(
    folders: list[Path],
    place: Path | str,
    options: RunOptions,
    settle_minutes: float,
    prune: bool,
    allow: list[Path] | None = None,
) -> int:
    """Run the nightly job and print what it found.

    Returns:
        The exit status: 0, or 3 if something could not be used.
    """
    reporter = Reporter(options.log_format)
    check_runner(options.runner, options.dask_address)
    with bounded(options.threads, options.memory_limit, warehouse_at(place).folder):
        pass  # the limits are valid
    with _waiting_for_warehouse(place, options, reporter):
        pass  # it can be used
    reporter.report("start", f"{count_noun(len(folders), 'folder')} to search; starting Prefect")
    with _prefect_server():
        from nl2sql_align.flows.nightly import nightly
    with reporter.showing_progress():
        summary = nightly(
            folders,
            place,
            settle_minutes,
            prune,
            options.threads,
            options.memory_limit,
            wait_seconds=options.wait_seconds,
            runner=options.runner,
            dask_address=options.dask_address,
            allow=allow,
            force=options.force,
        )
    if summary is None:
        reporter.report(
            "end",
            "all dumps may be incomplete copies, because their files are partial or have changed "
            f"in the last {settle_minutes:g} minutes (--settle-minutes); nothing was done",
        )
        return 0
    for problem in summary.problems:
        reporter.report("problem", f"nl2sql-align: {problem}")
    for stage, lines, others in (
        ("retired", [f"retired: {one}" for one in summary.retired], "corpora are retired"),
        ("skipped", summary.skipped, "files are not recognized"),
    ):
        for line in lines[:_MAX_SKIPPED]:
            reporter.report(stage, f"nl2sql-align: {printable(line)}")
        if (n_more := len(lines) - _MAX_SKIPPED) > 0:
            reporter.report(stage, f"nl2sql-align: {n_more:,} more {others}")
    status = _report_summary(summary, place, reporter)
    return 3 if summary.problems else status


def _find_same_run(
    entries: "list[CorpusEntry]", warehouse: "Warehouse", replicates: int | None, unit: Unit
) -> datetime | None:
    """Return when the last run ended if another one would change nothing; otherwise None."""
    if not warehouse.report.exists():
        return None
    from nl2sql_align.tasks.results.options import DRIFT_THRESHOLD
    from nl2sql_align.tasks.run.unchanged import find_same_run

    return find_same_run(entries, Resampling(replicates, unit), DRIFT_THRESHOLD, warehouse)


def _report_same_run(at: datetime, place: Path | str, reporter: "Reporter") -> None:
    """Print the notes and the results of the last run, which ended at some time."""
    from nl2sql_align.tasks.views.highlights import find_highlights

    found = find_highlights(place)
    for note in found.notes:
        reporter.report("note", f"nl2sql-align: note: {printable(note)}")
    reporter.report(
        "end",
        f"nothing has changed since the run of {at.astimezone():%Y-%m-%d %H:%M:%S}; --force runs "
        "again",
    )
    print_results(place, found)


@contextmanager
def _waiting_for_warehouse(
    place: Path | str, options: RunOptions, reporter: "Reporter"
) -> "Iterator[Warehouse]":
    """Wait until the warehouse is free, check that its store answers, and lock it for the block.

    Raises:
        WarehouseError: It is still in use after ``wait_seconds``, or it cannot be used.
    """
    warehouse = warehouse_at(place).resolved
    with (
        progress.listening(lambda step: reporter.report(step.stage, step.text)),
        warehouse.explain_disk_errors(),
        warehouse.locked(options.wait_seconds, force=options.force),
    ):
        check_store(warehouse)
        yield warehouse


def _report_summary(summary: "RunSummary", place: Path | str, reporter: "Reporter") -> int:
    """Print the outcome of a run and return its exit status."""
    for reason in summary.set_aside.values():
        reporter.report("set aside", f"nl2sql-align: set aside: {reason}")
    for note in summary.notes:
        reporter.report("note", f"nl2sql-align: note: {printable(note)}")
    n_used = len({*summary.corpora} - {*summary.set_aside})
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in summary.seconds.items())
    reporter.report(
        "end",
        f"{n_used} corpora used, {len(summary.set_aside)} set aside; "
        f"{summary.n_parsed:,} distinct queries parsed, {summary.n_new_pairs:,} of "
        f"{summary.n_pairs:,} pairs measured ({seconds})",
    )
    if not summary.corpora:
        reporter.report("end", "nl2sql-align: no corpus could be used; nothing was published")
    else:
        print_results(place)
    return 3 if summary.set_aside else 0


def print_results(place: Path | str, found: "Highlights | None" = None) -> None:
    """Print where the results are, their highlights, and which commands to run next.

    Args:
        place: The warehouse.
        found: Its highlights; by default, they are read.
    """
    from nl2sql_align.tasks.views.highlights import find_highlights  # loads DuckDB

    found = found or find_highlights(place)
    shown = escape(str(place))
    if warehouse_at(place).address is None:
        out.print(f"Results: {shown}/alignment.duckdb", soft_wrap=True)
        out.print(f"Report:  {shown}/report.html", soft_wrap=True)
    else:
        out.print(f"Results: {shown}", soft_wrap=True)
        out.print(f"Report:  nl2sql-align report {shown} --out report.html", soft_wrap=True)
    for number, sentence in enumerate(found.sentences, 1):
        say(escape(printable(sentence)), 2, f"{number}. ")
    out.print("Where to look next:")
    for command, shows in found.next_steps:
        out.print(f"  [bold]{escape(command)}[/]", soft_wrap=True)
        say(escape(shows), 6)


class Reporter:
    """Progress output of a run on standard error: text for people, or JSON lines."""

    def __init__(self, form: LogFormat) -> None:
        self._is_json = form is LogFormat.JSON

    def report(self, stage: str, text: str) -> None:
        """Write one line that is not the progress of a step."""
        if self._is_json:
            _write_json(progress.Progress(stage, text))
        else:
            err.print(escape(text), soft_wrap=True)

    @contextmanager
    def showing_progress(self) -> Iterator[None]:
        """Show the steps announced in the block: bars on a terminal, else a line per step."""
        if self._is_json:
            with progress.listening(_write_json):
                yield
        elif err.is_terminal:
            with _progress_bars():
                yield
        else:
            with progress.listening(_write_text):
                yield


def _write_json(step: progress.Progress) -> None:
    if not step.text:
        return
    line: dict[str, str | int | float] = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "stage": step.stage,
        "text": step.text,
        **{
            name: round(fact, 3) if isinstance(fact, float) else fact
            for name, fact in step.facts.items()
        },
    }
    if step.total:
        line |= {"done": step.done, "total": step.total}
    with suppress(BrokenPipeError):  # as for lines of text
        sys.stderr.write(to_json(line, sys.stderr) + "\n")
        sys.stderr.flush()


def _write_text(step: progress.Progress) -> None:
    if not step.text:
        return
    counter = f" {step.done}/{step.total}" if step.total else ""
    err.print(f"{step.stage}{counter}: {escape(step.text)}", soft_wrap=True)


_BAR_WIDTH: Final = 8
# Stage, bar, counter, rate, elapsed and remaining time, with the spaces between them.
_WIDTH_BESIDE_TEXT: Final = 9 + _BAR_WIDTH + 9 + 7 + 7 + 7 + 6


@contextmanager
def _progress_bars() -> Iterator[None]:
    """Show a progress bar per stage."""
    with Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=_BAR_WIDTH),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
        console=err,
        expand=False,
    ) as bars:
        tasks = {}

        def show(step: progress.Progress) -> None:
            if step.stage == progress.PART:
                return
            if step.stage not in tasks:
                tasks[step.stage] = bars.add_task(step.stage, total=step.total or 1, text="")
            task = tasks[step.stage]
            if step.total:
                # Threads announce shares of parts at any time: a bar never goes back.
                done = max(step.done, bars.tasks[task].completed)
                bars.update(task, completed=done, total=step.total)
            else:  # the whole stage is done
                bars.update(task, completed=bars.tasks[task].total)
            if step.text:
                text = _shorten(step.text, err.width - _WIDTH_BESIDE_TEXT)
                bars.update(task, text=escape(text))

        with progress.listening(show):
            yield


def _shorten(text: str, width: int) -> str:
    """Cut a text to a width; drop it if the width is too small to be of use."""
    if len(text) <= width:
        return text
    return f"{text[: width - 1]}…" if width > _BAR_WIDTH else ""


class _RateColumn(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or nothing before the first step."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s", style="progress.data.speed")


@contextmanager
def _prefect_server() -> Iterator[None]:
    """Start a temporary Prefect server, unless one is configured, while the block imports a flow.

    Raises:
        AlignError: The server does not start, the configured one does not answer, or Prefect's
            client does not support the proxy in the environment.
    """
    check_proxies()
    _silence_prefect()
    exit_on_signals()
    server = start_unless_configured()
    yield
    if server is None:
        _check_configured_server()
    else:
        server.wait()


def _check_configured_server() -> None:
    """Raise AlignError unless Prefect's settings name a server and it answers."""
    from httpx import HTTPStatusError, codes
    from prefect import get_client
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        raise AlignError(
            "Prefect's settings forbid a temporary server and name no other; set PREFECT_API_URL "
            "to a running server, or PREFECT_SERVER_EPHEMERAL_ENABLED to true"
        )
    with get_client(sync_client=True) as client:
        if client.api_healthcheck() is not None:
            raise AlignError(
                f"Prefect's server at {get_current_settings().api.url} does not answer; start it, "
                "or unset PREFECT_API_URL to use a temporary one"
            )
        try:
            client.read_flows(limit=1)
        except HTTPStatusError as error:
            if error.response.status_code not in (codes.UNAUTHORIZED, codes.FORBIDDEN):
                raise
            raise AlignError(
                f"Prefect's server at {get_current_settings().api.url} asks for another password; "
                "set PREFECT_API_AUTH_STRING, or PREFECT_API_KEY for Prefect Cloud"
            ) from None


def _silence_prefect() -> None:
    """Keep log lines of Prefect and Dask off the terminal, where the run reports for itself."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")
    logging.getLogger("prefect").setLevel(logging.CRITICAL)


def exit_on_signals(seconds: float = SECONDS_TO_EXIT) -> None:
    """Exit in order on SIGTERM and SIGHUP, as on Ctrl-C, with status 128 plus the signal.

    A thread that reads a file, or a running query, may delay the exit. The process ends anyway once
    some seconds have passed: the next run cleans up as after a run that was killed.
    """
    ended_by: list[int] = []

    def end(number: int, _frame: object) -> None:
        ended_by.append(number)
        sys.exit(128 + number)

    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, end)
    # Runs after the exit handlers that are registered later.
    atexit.register(_exit_with_signal, ended_by)
    # Handlers wait until the main thread leaves native code; numbers are written to this at once.
    received, sent = os.pipe()
    os.set_blocking(sent, False)
    signal.set_wakeup_fd(sent, warn_on_full_buffer=False)
    threading.Thread(target=_end_after_signal, args=[received, seconds], daemon=True).start()


def _exit_with_signal(numbers: list[int]) -> None:
    """Exit with the status of a signal, which is lost if it interrupts a query of DuckDB."""
    if numbers:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(128 + numbers[0])


def _end_after_signal(received: int, seconds: float) -> None:
    """End the process some seconds after a signal that ends it."""
    while (number := os.read(received, 1)[0]) not in _ENDING:
        pass
    time.sleep(seconds)
    os._exit(128 + number)
