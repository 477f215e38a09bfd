"""What a run leaves on the Prefect server for people to look at, and the events that it sends.

Artifacts of the same warehouse have the same keys, so that the server shows their history.
"""

import base64
import re
import tempfile
import threading
import time
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

from nl2sql_align.flows.running.temporary_server import TemporaryServer
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.progress import Progress
from nl2sql_align.tasks.ingest.discovery import Discovery
from nl2sql_align.tasks.results import read
from nl2sql_align.tasks.results.changes import Changes, changes
from nl2sql_align.tasks.views.pictures import plot

if TYPE_CHECKING:
    from nl2sql_align.flows.summary import RunSummary

DRIFT_EVENT: Final = "nl2sql-align.drift"
VERDICT_EVENT: Final = "nl2sql-align.verdict-changed"

_SECONDS_BETWEEN_UPDATES: Final = 2.0
_MOST_SHOWN: Final = 20


def leave(summary: "RunSummary") -> None:
    """Sends the events of a run with results, and leaves its tables and its summary.

    Trouble with the server is told and does not fail the run, whose results are there.
    """
    found = changes(summary.warehouse, summary.run_id)
    try:
        _send_events(summary, found)
        _leave_tables(summary.warehouse)
        create_markdown_artifact(
            run_summary(summary, found),
            key=key_of("run-summary", summary.warehouse),
            description=f"What the last run in {summary.warehouse} found",
        )
        if not TemporaryServer.is_used:  # which ends with the run: nobody would see them
            _leave_pictures(summary.warehouse)
    except Exception as error:
        get_run_logger().warning("The run's artifacts could not be left: %s", error)


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
    for one in found.verdicts:
        emit_event(
            VERDICT_EVENT,
            resource={
                "prefect.resource.id": f"nl2sql-align.ratio.{one.train}.{one.predictions}",
                "prefect.resource.name": f"{one.train} for {one.predictions}",
                "nl2sql-align.train": one.train,
                "nl2sql-align.target": one.target,
            },
            related=[run],
            payload={
                "warehouse": str(summary.warehouse),
                "run_id": summary.run_id,
                "model": one.model,
                "previous_alignment_ratio": one.previous_alignment_ratio,
                "alignment_ratio": one.alignment_ratio,
                "previous_verdict": one.previous_verdict,
                "verdict": one.verdict,
            },
        )


def _leave_tables(warehouse: Path | str) -> None:
    rows = read.matrix(warehouse)
    if "target" in rows["target_role"]:
        rows = rows.filter(rows["target_role"] == "target")
    table: dict[str, dict[str, Any]] = {}
    for source, role, target, value in rows.select(
        "source", "source_role", "target", "kl_alignment"
    ).iter_rows():
        row = table.setdefault(source, {"source": source, "role": role})
        row[target] = None if source == target else round(value, 4)
    create_table_artifact(
        list(table.values()),
        key=key_of("alignment-matrix", warehouse),
        description="kl_alignment with each target: 1 is identical, 0.368 is nothing in common",
    )
    ratios = read.ratio(warehouse)
    columns = ["target", "predictions", "model", "train", "alignment_ratio", "ci_low", "ci_high"]
    create_table_artifact(
        [
            {key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}
            for row in ratios.select(*columns, "verdict").iter_rows(named=True)
        ],
        key=key_of("alignment-ratios", warehouse),
        description="Alignment Ratios: above 1, tuning on the training set should help",
    )


def _leave_pictures(warehouse: Path | str) -> None:
    """Leaves the main pictures, each as its own address: no server has to hold them as files."""
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("matrix", "ratios"):
            try:
                picture = plot(warehouse, kind, Path(folder) / f"{kind}.svg").read_bytes()
            except ConfigurationError:  # there is nothing to draw
                continue
            create_image_artifact(
                "data:image/svg+xml;base64," + base64.b64encode(picture).decode(),
                key=key_of(f"picture-of-{kind}", warehouse),
                description=f"nl2sql-align plot {kind} {warehouse}",
            )


def run_summary(summary: "RunSummary", found: Changes) -> str:
    """What a run found, as Markdown: what was new, changed, set aside, rejected, slow and moved."""
    lines = [
        f"# {len(summary.corpora)} corpora, {summary.n_pairs:,} pairs",
        "",
        f"Results: `{_plain(summary.warehouse)}`, run `{summary.run_id}`.",
        "",
        f"- {summary.n_parsed:,} distinct queries parsed, {summary.n_new_pairs:,} pairs measured",
        "- New: " + (_listed(found.new) or "none"),
        "- Changed: " + (_listed(found.changed) or "none"),
        "- Seconds: " + ", ".join(f"{stage} {s:.1f}" for stage, s in summary.seconds.items()),
    ]
    lines += _section("Set aside", [_plain(reason) for reason in summary.set_aside.values()])
    lines += _section(
        "Drift",
        [
            f"{d.source} with {d.target}: {d.drift_from:.3f} to {d.kl_alignment:.3f} "
            f"({d.drift:+.3f})"
            for d in found.drifts
        ],
    )
    lines += _section(
        "Verdicts that changed",
        [
            f"{v.train} for {v.predictions} on {v.target}: "
            f"{v.previous_alignment_ratio:.3f} to {v.alignment_ratio:.3f}"
            + (f" ({v.previous_verdict} to {v.verdict})" if v.verdict else "")
            for v in found.verdicts
        ],
    )
    lines += _section(
        "Rejected queries",
        [f"{c}: {n:,} ({share:.1%}), mostly: {_plain(why)}" for c, n, share, why in found.rejects],
    )
    return "\n".join(lines) + "\n"


def discovery_summary(found: Discovery) -> str:
    """What a look through folders found, as Markdown."""
    lines = ["# What there is to compare"]
    for title, names in (
        ("New", found.new),
        ("Changed", found.changed),
        ("Still being copied: left for the next run", found.waiting),
        ("Retired: the dump is gone, the results are kept", found.retired),
        ("Pruned", found.pruned),
    ):
        lines += _section(title, list(names))
    lines += _section("Problems", [_plain(problem) for problem in found.problems])
    return "\n".join(lines if len(lines) > 1 else [*lines, "", "Nothing has changed."]) + "\n"


def _section(title: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = [f"- and {len(items) - _MOST_SHOWN:,} more"] if len(items) > _MOST_SHOWN else []
    return ["", f"## {title}", "", *(f"- {item}" for item in items[:_MOST_SHOWN]), *more]


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_SHOWN:,} more" if len(names) > _MOST_SHOWN else ""
    return ", ".join(names[:_MOST_SHOWN]) + more


def _plain(text: object) -> str:
    """Text that Markdown and HTML take as it is: messages quote what dumps hold."""
    return re.sub(r"[\\`*_{}\[\]<>|&#~]", lambda mark: f"&#{ord(mark[0])};", str(text))


def key_of(name: str, warehouse: Path | str) -> str:
    """The key of an artifact about a warehouse: lower case and dashes."""
    slug = re.sub(r"[^a-z0-9]+", "-", str(warehouse).rpartition("/")[2].lower()).strip("-")
    return f"{name}-{slug}" if slug else name


class ProgressArtifacts:
    """Shows on the server how far the stages of a run are; listens in the run's own thread."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._ids: dict[str, UUID] = {}
        self._updated: dict[str, float] = {}
        self._started = time.monotonic()

    def __call__(self, said: Progress) -> None:
        """Takes in one thing done; what comes soon after another is skipped."""
        now = time.monotonic()
        if not said.total or threading.get_ident() != self._thread:
            return
        is_known = said.stage in self._ids
        since = now - self._updated.get(said.stage, self._started)
        # Steps that are over at once need no bar.
        if since < _SECONDS_BETWEEN_UPDATES and not (is_known and said.done == said.total):
            return
        self._updated[said.stage] = now
        percent = 100 * said.done / said.total
        try:
            if is_known:
                update_progress_artifact(self._ids[said.stage], percent)
            else:
                made = create_progress_artifact(
                    percent, description=f"{said.stage}: {said.total:,} steps"
                )
                assert isinstance(made, UUID)  # not a coroutine: there is no event loop here
                self._ids[said.stage] = made
        except Exception as error:
            get_run_logger().warning("Progress could not be shown: %s", error)
