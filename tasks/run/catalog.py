"""A catalog of public data sets, as entries of a corpora file."""

from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Any

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, load_corpora
from nl2sql_align.tasks.run.inspection import format_entry


def list_catalog(names: Sequence[str] = ()) -> list[CorpusEntry]:
    """Return public data sets, each as the entry of a corpora file; nothing is fetched.

    Args:
        names: The names of those to return; by default all of them.

    Raises:
        ConfigurationError: The catalog does not have one of them.
    """
    with as_file(files("nl2sql_align") / "tasks" / "run" / "catalog.toml") as file:
        entries = {entry.name: entry for entry in load_corpora(file)}
    for name in names:
        if name not in entries:
            raise ConfigurationError(f"the catalog has no '{name}'; {suggest(name, entries)}")
    return [entries[name] for name in names or entries]


def describe_entry(entry: CorpusEntry) -> dict[str, Any]:
    """Return the name, role, format, dialect, license and address of an entry."""
    return {
        "corpus": entry.name,
        "role": entry.role,
        "format": entry.format,
        "dialect": entry.dialect,
        "license": entry.license,
        "path": str(entry.place),
    }


def format_catalog(entries: Sequence[CorpusEntry]) -> str:
    """Return the entries as the text of a corpora file."""
    return "\n\n".join(format_entry(entry, entry.place) for entry in entries) + "\n"
