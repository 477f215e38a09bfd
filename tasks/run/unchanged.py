"""Whether a run would change the results: its inputs are compared with those of the last one."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.dumps import digest_dump
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.versions import list_versions
from nl2sql_align.tasks.templates.rules import read_limits
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key, write_atomically


def record_inputs(
    entries: list[CorpusEntry],
    digests: Mapping[str, str],
    resampling: Resampling,
    drift_threshold: float,
    warehouse: Warehouse,
) -> None:
    """Record the inputs of a run that is complete, with the time.

    Args:
        entries: The corpora.
        digests: The SHA-256 of the dump of each corpus.
        resampling: The settings of the intervals.
        drift_threshold: The setting of the history.
        warehouse: The warehouse, locked.
    """
    record = {
        "settings": _describe_settings(entries, resampling, drift_threshold),
        "digests": dict(digests),
        "folder": str(warehouse.folder.resolve()),  # the database names its files by their paths
        "finished_at": datetime.now(UTC).isoformat(),
    }
    with write_atomically(warehouse.inputs_file) as temporary:
        temporary.write_text(json.dumps(record), encoding="utf-8")


def find_same_run(
    entries: list[CorpusEntry],
    resampling: Resampling,
    drift_threshold: float,
    warehouse: Warehouse,
) -> datetime | None:
    """Return when the last run ended if it had the same inputs; None if a run has work to do.

    Reads the dumps only if all settings are the same, up to the first one that has changed. Then
    checks all files of the warehouse.

    Args:
        entries: The corpora.
        resampling: The settings of the intervals.
        drift_threshold: The setting of the history.
        warehouse: The warehouse, locked.
    """
    try:
        record = json.loads(warehouse.inputs_file.read_text(encoding="utf-8"))
        settings, digests = record["settings"], dict(record["digests"])
        finished_at = datetime.fromisoformat(record["finished_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # Only the run itself can find out whether a dump on a store has changed.
    if warehouse.address is not None or any(entry.url is not None for entry in entries):
        return None
    if record.get("folder") != str(warehouse.folder.resolve()):
        return None
    if settings != _describe_settings(entries, resampling, drift_threshold):
        return None
    try:
        if any((one.digest or digest_dump(one)) != digests.get(one.name) for one in entries):
            return None
    except CorpusError:
        return None
    is_whole = warehouse.database.exists() and warehouse.is_database_intact()
    is_whole = is_whole and not warehouse.has_lost_files() and not warehouse.find_damaged()
    return finished_at if is_whole else None


def _describe_settings(
    entries: list[CorpusEntry], resampling: Resampling, drift_threshold: float
) -> str:
    return stage_key(
        entries=[entry.model_dump(mode="json") for entry in entries],
        resampling=asdict(resampling),
        drift_threshold=drift_threshold,
        limits=asdict(read_limits()),
        versions=list_versions(),
    )
