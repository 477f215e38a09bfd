"""Fingerprints: the templates of a log with their frequencies, and nothing else of its queries.

A fingerprint is a Parquet file with the columns of ``LINES``, one line per template, the most
frequent first, and then a line for each reason to leave queries out. Its metadata has a manifest.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.templates.rules import HIDDEN_WORD, TEMPLATE_RULES_VERSION, parser_version
from nl2sql_align.tasks.warehouse.folder import write_atomically

FINGERPRINT: Final = "fingerprint"
"""The format of fingerprints."""

LINES: Final = pa.schema(
    [
        ("template", pa.string()),
        ("n_rows", pa.int64()),
        ("n_occurrences", pa.int64()),
        ("left_out", pa.string()),
    ]
)
"""The columns: a template, or the reason to leave queries out; its rows of the log, and queries.

A row of a log with frequencies represents several queries.
"""

_RARE: Final = "left out by min-count: its template is rare"
_PARSER: Final = f"sqlglot {parser_version()}"
_MANIFEST: Final = b"nl2sql_align_fingerprint"


class _Line(NamedTuple):
    template: str | None
    n_rows: int
    n_occurrences: int
    left_out: str | None


@dataclass(frozen=True)
class Manifest:
    """How a fingerprint was made, and the queries that it leaves out.

    Attributes:
        program: The program with its version.
        template_rules: The version of the rules of templates.
        parser: The parser with its version.
        dialect: The dialect of the log.
        min_count: The least queries that a template must have.
        n_rows: The rows of the log.
        n_occurrences: The queries of the log, each as often as it occurs.
        n_templates: The templates in the file.
        n_changed_templates: The templates of the log with words that the dialect does not know.
        n_changed_occurrences: The queries with these templates.
        n_left_out: The queries that are left out, by reason.
    """

    program: str
    template_rules: int
    parser: str
    dialect: str
    min_count: int
    n_rows: int
    n_occurrences: int
    n_templates: int
    n_changed_templates: int
    n_changed_occurrences: int
    n_left_out: dict[str, int]

    def describe_gaps(self) -> list[str]:
        """Return where n-grams of the file may differ from those of the log, a sentence each."""
        gaps = []
        if n_rare := self.n_left_out.get(_RARE, 0):
            gaps.append(
                f"{n_rare:,} of {self.n_occurrences:,} queries are left out, as their templates "
                f"have fewer than {self.min_count:,} queries each"
            )
        if self.n_changed_occurrences:
            gaps.append(
                f"{self.n_changed_occurrences:,} of {self.n_occurrences:,} queries have "
                f"{HIDDEN_WORD} for functions that dialect '{self.dialect}' does not know"
            )
        if self.parser != _PARSER:
            gaps.append(f"it was made with {self.parser}, and other corpora with {_PARSER}")
        return gaps


@dataclass(frozen=True)
class Fingerprint:
    """All that a fingerprint contains.

    Attributes:
        manifest: How it was made.
        lines: Its lines, with the columns of ``LINES``.
    """

    manifest: Manifest
    lines: pa.Table

    def as_dict(self) -> dict[str, Any]:
        """Return the fingerprint as values for JSON."""
        return {"manifest": asdict(self.manifest), "lines": self.lines.to_pylist()}


def write_fingerprint(
    logs: Iterable[tuple[Path, Path]], dialect: str, destination: Path, min_count: int = 1
) -> Manifest:
    """Write the fingerprint of some logs.

    The same logs give the same bytes.

    Args:
        logs: The stage files of each: its queries and their templates.
        dialect: The dialect of all.
        destination: The file to write.
        min_count: The least queries that a template must have to be written.

    Raises:
        ConfigurationError: No template is left.
    """
    from nl2sql_align.tasks.templates.public_words import PublicWords  # loads the parser

    words = PublicWords(dialect)
    lines: dict[tuple[str | None, str | None], list[int]] = defaultdict(lambda: [0, 0])
    changed: dict[str, int] = defaultdict(int)
    with connected() as con:
        run_sql(con, "templates/hide_reason")
        for queries, templates in logs:
            found = query_sql(
                con,
                "templates/fingerprint_lines",
                queries=str(queries),
                templates=str(templates),
            ).fetchall()
            for template, left_out, n_rows, n_occurrences in found:
                public = None if template is None else words.hide_others(template)
                if template is not None and public != template:
                    changed[template] += n_occurrences
                line = lines[public, left_out]
                line[0] += n_rows
                line[1] += n_occurrences
    totals = [sum(line[place] for line in lines.values()) for place in (0, 1)]
    for (template, _), (n_rows, n_occurrences) in list(lines.items()):
        if template is not None and n_occurrences < min_count:
            del lines[template, None]
            rare = lines[None, _RARE]
            rare[0] += n_rows
            rare[1] += n_occurrences
    rows = [
        _Line(template, n_rows, n_occurrences, left_out)
        for (template, left_out), (n_rows, n_occurrences) in lines.items()
    ]
    if all(row.template is None for row in rows):
        raise ConfigurationError(
            f"no template is left to write: check that '{dialect}' is the dialect, and --min-count"
        )
    # Templates first, from the most frequent one on.
    rows.sort(key=lambda row: (row.left_out or "", -row.n_occurrences, row.template or ""))
    manifest = Manifest(
        program=f"nl2sql-align {version('nl2sql-align')}",
        template_rules=TEMPLATE_RULES_VERSION,
        parser=_PARSER,
        dialect=dialect,
        min_count=min_count,
        n_rows=totals[0],
        n_occurrences=totals[1],
        n_templates=sum(row.template is not None for row in rows),
        n_changed_templates=len(changed),
        n_changed_occurrences=sum(changed.values()),
        n_left_out={row.left_out: row.n_occurrences for row in rows if row.left_out is not None},
    )
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*rows, strict=True), LINES, strict=True)
    ]
    schema = LINES.with_metadata({_MANIFEST: json.dumps(asdict(manifest))})
    with write_atomically(destination) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")
    return manifest


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a fingerprint.

    Raises:
        ConfigurationError: The file is not a fingerprint, or has more in it than one.
    """
    try:
        schema = pq.read_schema(path)
        metadata = dict(schema.metadata or {})
        manifest = Manifest(**json.loads(metadata.pop(_MANIFEST)))
        if schema.equals(LINES) and not metadata:
            return manifest
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError):
        pass
    raise ConfigurationError(
        f"{path} is not a fingerprint as nl2sql-align fingerprint writes it; check the path"
    )


def read_fingerprint(path: Path) -> Fingerprint:
    """Return all that a fingerprint contains.

    Raises:
        ConfigurationError: The file is not a fingerprint.
    """
    manifest = read_manifest(path)
    try:
        return Fingerprint(manifest, pq.ParquetFile(path).read())
    except (OSError, pa.ArrowException) as error:
        raise ConfigurationError(f"{path} is damaged ({error}); write it again") from None
