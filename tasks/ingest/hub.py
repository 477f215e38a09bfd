"""Data sets on the Hugging Face Hub: the commit of a revision, and the files of a split."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Final

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.archives import Source
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.ingest.discovery import TARGET_SPLITS, find_split
from nl2sql_align.tasks.ingest.dumps import DATA_SUFFIXES, SCHEMAS
from nl2sql_align.tasks.warehouse.store_files import read_silence_limit

HUB: Final = "hf://"

# Revisions may be names with slashes only in these forms.
_ADDRESS: Final = re.compile(
    r"hf://(?P<kind>datasets/|spaces/)?(?P<repository>[^/@]+/[^/@]+)"
    r"(?:@(?P<revision>refs/(?:convert|pr)/[^/]+|[^/]+))?(?P<path>/.*)?"
)


def is_on_hub(address: str) -> bool:
    """Return whether an address is one of the hub."""
    return address.startswith(HUB)


def pin_commit(address: str) -> str:
    """Return the address of a file or folder on the hub with the commit as its revision.

    Other addresses are returned as they are.

    Raises:
        ConfigurationError: The limit in the environment is not a number above 0.
        ImportError: The package ``huggingface_hub`` is not installed.
        Exception: The hub does not know the repository or the revision, or does not answer.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return address
    from huggingface_hub import HfApi

    kind = match["kind"] or ""
    found = HfApi().repo_info(
        match["repository"],
        repo_type=kind.rstrip("s/") or "model",
        revision=match["revision"],
        timeout=read_silence_limit(),
    )
    return f"hf://{kind}{match['repository']}@{found.sha}{match['path'] or ''}"


def choose_split(entry: CorpusEntry, folder: str, files: Sequence[str]) -> str:
    """Return the file or pattern of the split that a corpus's role asks for.

    A training set reads the split ``train``, a target the only one of ``dev``, ``validation`` and
    ``test``. A folder without data files, or with files that are not splits, is returned as it is.

    Args:
        entry: The corpus.
        folder: The folder of its address, in the notation of the file system.
        files: All files in the folder and its subfolders.

    Raises:
        CorpusError: Several splits or folders fit the role.
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for file in files:
        path = PurePosixPath(file)
        kind, stem = Source(Path(path.name)).suffix, path.name.split(".")[0]
        if kind in DATA_SUFFIXES and not SCHEMAS.fullmatch(stem):
            split = find_split(stem, path.parent.name) or ""
            groups.setdefault((str(path.parent), split, kind), []).append(file)
    splits = TARGET_SPLITS if entry.role == "target" else {"train"}
    fitting = [key for key in groups if len(groups) == 1 or key[1] in splits]
    if not groups or (len(fitting) != 1 and {key[1] for key in groups} == {""}):
        return folder
    if len(fitting) == 1:
        chosen = groups[fitting[0]]
        if pattern := _find_pattern(chosen, files):
            return pattern
    shown = ", ".join(
        sorted(group[0].removeprefix(folder).lstrip("/") for group in groups.values())
    )
    raise CorpusError(
        entry.name,
        entry.place,
        f"has several splits, of which role {entry.role} does not choose one ({shown}, ...)"[:1000],
        "set path to the file, the folder or the pattern of one of them",
    )


def _find_pattern(chosen: Sequence[str], files: Sequence[str]) -> str | None:
    """Return a pattern that matches just the chosen files; None if no simple pattern does."""
    if len(chosen) == 1:
        return chosen[0]
    start, end = chosen[0], chosen[0]
    for file in chosen[1:]:
        while not file.startswith(start):
            start = start[:-1]
        while not file.endswith(end):
            end = end[1:]
    pattern = f"{start}*{end}"
    folder = str(PurePosixPath(chosen[0]).parent)
    beside = [file for file in files if str(PurePosixPath(file).parent) == folder]
    matched = [file for file in beside if fnmatchcase(file, pattern)]
    is_in_folder = PurePosixPath(pattern).parent == PurePosixPath(folder)
    return pattern if is_in_folder and matched == sorted(chosen) else None
