"""The main job as a command: it runs the flow in this process, and shows how it goes on."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from flows.show import err, out, printable
from tasks import progress
from tasks.config import load_corpora
from tasks.engine import bounded
from tasks.highlights import highlights
from tasks.warehouse import Warehouse

if TYPE_CHECKING:
    from tasks.samples import Unit


def run_align(
    corpora: Path,
    warehouse: Path,
    threads: int | None,
    memory_limit: str | None,
    replicates: int | None,
    unit: "Unit",
) -> int:
    """Runs the main job and prints where the results are.

    Returns:
        The exit status: 0, or 3 where corpora were set aside.
    """
    # What stops a run is told at once, before Prefect and its server take their seconds to start.
    with bounded(threads, memory_limit, warehouse):
        entries = load_corpora(corpora)
    with Warehouse(warehouse.resolve()).locked():
        pass
    err.print(f"{len(entries)} corpora in {escape(str(corpora))}; starting Prefect", soft_wrap=True)
    _silence_prefect()
    _end_on_signals()
    server = _start_server()
    from flows.align import align  # takes its seconds, while the server takes its own

    server.join()
    with _shown():
        summary = align(corpora, warehouse, threads, memory_limit, replicates, unit)
    for reason in summary.set_aside.values():
        err.print(f"nl2sql-align: set aside: {escape(reason)}", soft_wrap=True)
    for note in summary.notes:
        err.print(f"nl2sql-align: note: {escape(printable(note))}", soft_wrap=True)
    n_taken = len({*summary.corpora} - {*summary.set_aside})
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in summary.seconds.items())
    err.print(
        f"{n_taken} corpora taken, {len(summary.set_aside)} set aside; "
        f"{summary.n_parsed:,} distinct queries parsed, {summary.n_new_pairs:,} of "
        f"{summary.n_pairs:,} pairs measured ({seconds})",
        soft_wrap=True,
    )
    if not summary.corpora:
        err.print("nl2sql-align: no corpus could be taken; nothing was published")
    else:
        shown = escape(str(warehouse))
        out.print(f"Results: {shown}/alignment.duckdb", soft_wrap=True)
        out.print(f"Report:  {shown}/report.html", soft_wrap=True)
        for sentence in highlights(warehouse):
            out.print(f"  {escape(printable(sentence))}", soft_wrap=True)
        out.print(
            f"See more: nl2sql-align ratio {shown}; nl2sql-align matrix {shown}; "
            f"nl2sql-align explain {shown} SOURCE TARGET",
            soft_wrap=True,
        )
    return 3 if summary.set_aside else 0


def _silence_prefect() -> None:
    """Prefect's own lines are for its server's log; the run tells a person what matters."""
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
    logging.getLogger("prefect").setLevel(logging.CRITICAL)


def _end_on_signals() -> None:
    """Ends this process on these signals as on Ctrl-C, and with it Prefect's temporary server."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))


def _start_server() -> threading.Thread:
    """A thread that starts Prefect's temporary server, unless another one is set up.

    The server is out of reach of Ctrl-C. That goes to all processes of a terminal, as does the
    terminal's end; but a flow cannot end without its server.
    """
    from prefect import get_client

    def start() -> None:
        # A process starts with the signals blocked that are so in the thread that starts it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        with suppress(Exception), get_client(sync_client=True) as client:  # the flow will tell
            client.api_healthcheck()

    starting = threading.Thread(target=start, daemon=True)
    starting.start()
    return starting


@contextmanager
def _shown() -> Iterator[None]:
    """Bars on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        with progress.listening(_print_line):
            yield
        return
    with Progress(
        TextColumn("{task.description:<10}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
        console=err,
        expand=False,
    ) as bars:
        tasks = {}

        def show(said: progress.Progress) -> None:
            if said.stage not in tasks:
                tasks[said.stage] = bars.add_task(said.stage, total=said.total or 1, text="")
            bars.update(
                tasks[said.stage],
                completed=said.done or 1,
                total=said.total or 1,
                text=escape(said.text),
            )

        with progress.listening(show):
            yield


def _print_line(said: progress.Progress) -> None:
    counter = f" {said.done}/{said.total}" if said.total else ""
    err.print(f"{said.stage}{counter}: {escape(said.text)}", soft_wrap=True)
