"""Artifacts and events that a run creates on the Prefect server.

Runs in the same warehouse use the same artifact keys, so that the server shows their history.
"""

import base64
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_image_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event

from nl2sql_align.flows.running.temporary_server import is_temporary
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.progress import Progress
from nl2sql_align.tasks.ingest.discovery import Discovery
from nl2sql_align.tasks.results import read
from nl2sql_align.tasks.results.changes import Changes, find_changes
from nl2sql_align.tasks.views.digits import format_value
from nl2sql_align.tasks.views.highlights import Highlights, find_highlights
from nl2sql_align.tasks.views.options import Picture
from nl2sql_align.tasks.views.pictures import plot
from nl2sql_align.tasks.views.terminal.console import capture, printable

if TYPE_CHECKING:
    from nl2sql_align.tasks.run.summary import RunSummary

DRIFT_EVENT: Final = "nl2sql-align.drift"
VERDICT_EVENT: Final = "nl2sql-align.verdict-changed"

_UPDATE_INTERVAL_SECONDS: Final = 2.0
_MOST_ITEMS: Final = 20


def create_artifacts(summary: "RunSummary") -> None:
    """Send the events of a run, and create its tables, summary and pictures.

    Logs errors instead of raising them: the results of the run are already published.
    """
    found = find_changes(summary.warehouse, summary.run_id)
    try:
        _send_events(summary, found)
        _create_tables(summary.warehouse)
        create_markdown_artifact(
            run_summary(summary, found, find_highlights(summary.warehouse)),
            key=key_of("run-summary", summary.warehouse),
            description=f"Findings of the last run in {summary.warehouse}",
        )
        if not is_temporary():  # which ends with the run
            _create_pictures(summary.warehouse)
    except Exception as error:
        get_run_logger().warning("Cannot create the artifacts of the run: %s", error)


def _send_events(summary: "RunSummary", found: Changes) -> None:
    run = {
        "prefect.resource.id": f"nl2sql-align.run.{summary.run_id}",
        "prefect.resource.role": "run",
    }
    for drift in found.drifts:
        emit_event(
            DRIFT_EVENT,
            resource={
                "prefect.resource.id": f"nl2sql-align.alignment.{drift.source}.{drift.target}",
                "prefect.resource.name": f"{drift.source} with {drift.target}",
                "nl2sql-align.source": drift.source,
                "nl2sql-align.target": drift.target,
            },
            related=[run],
            payload={
                "warehouse": str(summary.warehouse),
                "run_id": summary.run_id,
                "drift_from": drift.drift_from,
                "kl_alignment": drift.kl_alignment,
                "drift": drift.drift,
            },
        )
    for change in found.verdicts:
        emit_event(
            VERDICT_EVENT,
            resource={
                "prefect.resource.id": f"nl2sql-align.ratio.{change.train}.{change.predictions}",
                "prefect.resource.name": f"{change.train} for {change.predictions}",
                "nl2sql-align.train": change.train,
                "nl2sql-align.target": change.target,
            },
            related=[run],
            payload={
                "warehouse": str(summary.warehouse),
                "run_id": summary.run_id,
                "model": change.model,
                "previous_alignment_ratio": change.previous_alignment_ratio,
                "alignment_ratio": change.alignment_ratio,
                "previous_verdict": change.previous_verdict,
                "verdict": change.verdict,
            },
        )


def _create_tables(warehouse: Path | str) -> None:
    rows = read.matrix(warehouse)
    if "target" in rows["target_role"]:
        rows = rows.filter(rows["target_role"] == "target")
    table: dict[str, dict[str, Any]] = {}
    for source, role, target, value in rows.select(
        "source", "source_role", "target", "kl_alignment"
    ).iter_rows():
        row = table.setdefault(source, {"source": source, "role": role})
        row[target] = None if source == target else _round(value)
    create_table_artifact(
        list(table.values()),
        key=key_of("alignment-matrix", warehouse),
        description="kl_alignment with each target: 1 means identical, 0.368 nothing in common",
    )
    ratios = read.ratio(warehouse)
    columns = ["target", "predictions", "model", "train", "alignment_ratio", "verdict"]
    columns += ["ci_low", "ci_high", "train_alignment", "train_js_alignment"]
    create_table_artifact(
        [
            {key: _round(v) if isinstance(v, float) else v for key, v in row.items()}
            for row in ratios.select(*columns, ratios["doubts"].list.join("; ")).to_dicts()
        ],
        key=key_of("alignment-ratios", warehouse),
        description="Alignment Ratios: above 1, fine-tuning on the training set should help",
    )


def _round(value: float) -> float:
    """Return a number with four decimals, which is 1 only if it was."""
    return float(format_value(value, value, value, 1.0))


def report_decision(
    command: str,
    warehouse: Path | str,
    show: Callable[[], None],
    picture: Picture | None = None,
    *,
    target: str | None = None,
    source: str | None = None,
) -> None:
    """Write what a command prints to the log of a flow run, and create an artifact of it.

    Logs errors of the server instead of raising them: the result is already published.

    Args:
        command: The name of the command.
        warehouse: The warehouse.
        show: Prints the result, as the command does.
        picture: A picture of the result.
        target: The target of the decision, if it has one.
        source: The other corpus of the picture.
    """
    text = capture(show)
    for line in text.splitlines():
        get_run_logger().info("%s", line)
    name = "-".join(filter(None, (command, source, target)))
    try:
        create_markdown_artifact(
            _fence(text),
            key=key_of(name, warehouse),
            description=f"nl2sql-align {command} {warehouse}",
        )
        if picture is not None and not is_temporary():
            _create_picture(warehouse, picture, name, target=target, source=source)
    except Exception as error:
        get_run_logger().warning("Cannot create the artifacts of the run: %s", error)


def _create_pictures(warehouse: Path | str) -> None:
    for kind in (Picture.MATRIX, Picture.RATIOS):
        _create_picture(warehouse, kind, kind)


def _create_picture(warehouse: Path | str, kind: Picture, name: str, **options: Any) -> None:
    """Create a picture as a data URL, so that no server has to store files."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            picture = plot(warehouse, kind, Path(folder) / "picture.svg", **options).read_bytes()
        except ConfigurationError:  # nothing to draw
            return
    create_image_artifact(
        "data:image/svg+xml;base64," + base64.b64encode(picture).decode(),
        key=key_of(f"picture-of-{name}", warehouse),
        description=f"nl2sql-align plot {kind} {warehouse}",
    )


def run_summary(summary: "RunSummary", found: Changes, highlights: Highlights) -> str:
    """Return the findings of a run as Markdown: changes and warnings first, durations last.

    Args:
        summary: The run.
        found: The changes since the run before.
        highlights: The findings that the command line prints.
    """
    lines = [
        f"# {len(summary.corpora)} corpora, {summary.n_pairs:,} pairs",
        "",
        "- New: " + (_join(found.new) or "none"),
        "- Changed: " + (_join(found.changed) or "none"),
    ]
    lines += _section(
        "Drift",
        [
            f"{d.source} with {d.target}: {d.drift_from:.3f} to {d.kl_alignment:.3f} "
            f"({d.drift:+.3f})"
            for d in found.drifts
        ],
    )
    lines += _section(
        "Changed verdicts",
        [
            f"{v.train} for {v.predictions} on {v.target}: "
            f"{format_value(v.previous_alignment_ratio, border=1.0)} to "
            f"{format_value(v.alignment_ratio, border=1.0)}"
            + (f" ({v.previous_verdict} to {v.verdict})" if v.verdict else "")
            for v in found.verdicts
        ],
    )
    lines += _section("Set aside", [_escape(reason) for reason in summary.set_aside.values()])
    lines += _section("Beware", [_escape(highlights.warning)] if highlights.warning else [])
    others = [one for one in highlights.sentences if one != highlights.warning]
    lines += _section("Findings", [_escape(sentence) for sentence in others])
    lines += _section(
        "Rejected queries",
        [f"{c}: {n:,} ({share:.1%}), mostly: {_escape(why)}" for c, n, share, why in found.rejects],
    )
    lines += _section("Notes", [_escape(note) for note in summary.notes])
    lines += [
        "",
        "## Run",
        "",
        f"- Results: {_code(summary.warehouse)}, run {_code(summary.run_id)}",
        f"- {summary.n_parsed:,} distinct queries parsed, {summary.n_new_pairs:,} pairs measured",
        "- Seconds: " + ", ".join(f"{stage} {s:.1f}" for stage, s in summary.seconds.items()),
    ]
    return "\n".join(lines) + "\n"


def discovery_summary(found: Discovery) -> str:
    """Return the result of a search through folders as Markdown."""
    lines = ["# Dumps to compare"]
    for title, items in (
        ("New", found.new),
        ("Changed", found.changed),
        ("Problems", [_escape(problem) for problem in found.problems]),
        ("Still being copied, so left for the next run", found.waiting),
        ("Retired: the dump is gone, its results remain", [_escape(one) for one in found.gone]),
        ("Pruned", found.pruned),
        ("Not taken", [_escape(one) for one in found.skipped]),
    ):
        lines += _section(title, list(items))
    return "\n".join(lines if len(lines) > 1 else [*lines, "", "Nothing has changed."]) + "\n"


def _section(title: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = [f"- and {len(items) - _MOST_ITEMS:,} more"] if len(items) > _MOST_ITEMS else []
    return ["", f"## {title}", "", *(f"- {item}" for item in items[:_MOST_ITEMS]), *more]


def _join(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_ITEMS:,} more" if len(names) > _MOST_ITEMS else ""
    return ", ".join(names[:_MOST_ITEMS]) + more


def _escape(text: object) -> str:
    """Escape a text for Markdown and HTML, as messages may quote the content of dumps."""
    return re.sub(r"[\\`*_{}\[\]<>|&#~]", lambda mark: f"&#{ord(mark[0])};", str(text))


def _code(text: object) -> str:
    """Return a text as code in a line of Markdown, where it needs no entities."""
    marks = "`" * (1 + _longest_marks(one_line := printable(str(text))))
    return f"{marks} {one_line} {marks}" if "`" in one_line else f"{marks}{one_line}{marks}"


def _fence(text: str) -> str:
    """Return lines of text as a block of code in Markdown."""
    marks = "`" * max(3, 1 + _longest_marks(text))
    return f"{marks}text\n{text}{marks}\n"


def _longest_marks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def key_of(name: str, warehouse: Path | str) -> str:
    """Return the key of an artifact about a warehouse, in lower case with dashes."""
    both = f"{name}-{str(warehouse).rpartition('/')[2]}"
    return re.sub(r"[^a-z0-9]+", "-", both.lower()).strip("-")


class ProgressArtifacts:
    """Progress artifacts of the stages, updated from the thread of the run only."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._ids: dict[str, UUID] = {}
        self._updated: dict[str, float] = {}
        self._started = time.monotonic()

    def __call__(self, step: Progress) -> None:
        """Update the artifact of the stage, unless it was updated moments ago."""
        now = time.monotonic()
        if not step.total or threading.get_ident() != self._thread:
            return
        is_known = step.stage in self._ids
        since = now - self._updated.get(step.stage, self._started)
        # A short stage needs no artifact.
        if since < _UPDATE_INTERVAL_SECONDS and not (is_known and step.done == step.total):
            return
        self._updated[step.stage] = now
        percent = 100 * step.done / step.total
        try:
            if is_known:
                update_progress_artifact(self._ids[step.stage], percent)
            else:
                created = create_progress_artifact(
                    percent, description=f"{step.stage}: {step.total:,} steps"
                )
                assert isinstance(created, UUID)  # not a coroutine: no event loop runs here
                self._ids[step.stage] = created
        except Exception as error:
            get_run_logger().warning("Cannot show progress: %s", error)
