"""Fingerprints of logs, for ``nl2sql-align fingerprint``."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import AUTO
from nl2sql_align.tasks.ingest.dumps import read_row_counts
from nl2sql_align.tasks.run.given_corpora import list_given, make_entry
from nl2sql_align.tasks.run.prepare import Prepared, SetAside, prepare_corpus
from nl2sql_align.tasks.templates.fingerprints import (
    FINGERPRINT,
    Manifest,
    read_manifest,
    write_fingerprint,
)
from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.templates.parts import join_templates
from nl2sql_align.tasks.templates.rules import read_limits
from nl2sql_align.tasks.warehouse.addresses import is_address
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.outputs import find_output, find_output_folder


@dataclass(frozen=True)
class Written:
    """A fingerprint that was written.

    Attributes:
        manifest: How it was made, and the queries that it leaves out.
        notes: How the logs were read, a line each; the file does not have them.
    """

    manifest: Manifest
    notes: list[str]


def fingerprint(
    logs: Sequence[Path | str], out: Path, min_count: int = 1, dialect: str = AUTO
) -> Written:
    """Write the templates of some logs with their frequencies, and nothing else of their queries.

    Args:
        logs: Paths or addresses of dumps in any format.
        out: The file to write.
        min_count: The least queries that a template must have to be written.
        dialect: The dialect of all logs; by default the one that parses the most.

    Raises:
        ConfigurationError: The dialect or the folder of ``out`` does not exist, the logs differ in
            their dialect, or ``out`` is a log or a file that is not a fingerprint.
        CorpusError: A log cannot be read, or no query of it has a template.
    """
    out = find_output_folder(out)
    given = [log if is_address(str(log)) else Path(log) for log in logs]
    if out.exists() and any(
        isinstance(log, Path) and log.exists() and out.samefile(log) for log in given
    ):
        raise ConfigurationError(f"{out} is one of the logs; name another file to write")
    out = find_output(out, "a fingerprint", _is_fingerprint)
    with TemporaryDirectory(prefix="nl2sql-align-") as temporary:
        warehouse = Warehouse(Path(temporary, "warehouse"))
        warehouse.scratch.mkdir(parents=True)
        prepared = _prepare_logs(given, warehouse, dialect)
        dialects = {one.entry.name: one.entry.dialect for one in prepared}
        if len({*dialects.values()}) > 1:
            found = ", ".join(f"{name}: {dialect}" for name, dialect in dialects.items())
            raise ConfigurationError(
                f"the logs are of several dialects ({found}); write a fingerprint for each, or set "
                "--dialect"
            )
        files = [(one.queries, one.templates) for one in prepared]
        manifest = write_fingerprint(files, prepared[0].entry.dialect, out, min_count)
        notes = [note for one in prepared for note in _describe_reading(one)]
    return Written(manifest, notes)


def _is_fingerprint(file: Path) -> bool:
    try:
        read_manifest(file)
    except ConfigurationError:
        return False
    return True


def _prepare_logs(logs: Sequence[Path | str], warehouse: Warehouse, dialect: str) -> list[Prepared]:
    """Ingest and parse the logs, one after another."""
    done = []
    with (
        bounded(None, None, warehouse.scratch) as bounds,
        ThreadPoolExecutor(bounds.steps_at_a_time) as pool,
    ):
        try:
            for name, log in list_given([*logs], "log").items():
                entry = make_entry(name, log, "target", warehouse.scratch, dialect=dialect)
                prepared = prepare_corpus(entry, warehouse, read_limits())
                if isinstance(prepared, SetAside):
                    raise prepared.as_error(entry)
                if prepared.entry.format == FINGERPRINT:
                    raise ConfigurationError(f"{log} is a fingerprint already; name logs")
                if not prepared.templates.exists():  # of a log with equal texts
                    list(pool.map(parse_part, prepared.jobs))
                    parts = [job.destination for job in prepared.jobs]
                    join_templates([prepared.jobs[0].source], parts, prepared.templates)
                done.append(prepared)
        finally:
            stop_workers()
    return done


def _describe_reading(prepared: Prepared) -> list[str]:
    """Return how a log was read: its format and dialect, and the rows that are not queries."""
    remarks = read_row_counts(prepared.queries).remarks
    return [*prepared.notes, *(f"{prepared.entry.name}: {text}" for text in remarks)]
