"""Discovery of dumps in folders, for the nightly job.

A dump is described by a ``corpus.toml`` in its folder, or by a ``NAME.corpus.toml`` beside its
file. Dumps in the layout of Spider, BIRD, Gretel or a Hugging Face data set of Parquet files need
no description. A folder with a ``corpora.toml`` lists its own corpora.

The result is written to ``nightly/`` in the warehouse: ``state.json`` for the next search, and
``corpora.toml`` for the main job.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import (
    AUTO,
    CorpusEntry,
    format_corpora,
    load_corpora,
    make_name,
    parse_entry,
    read_toml,
)
from nl2sql_align.tasks.ingest.dumps import SCHEMAS, list_files
from nl2sql_align.tasks.ingest.format_recognition import recognize_format
from nl2sql_align.tasks.warehouse.addresses import expand_home, refuse_credentials
from nl2sql_align.tasks.warehouse.folder import Warehouse, write_atomically
from nl2sql_align.tasks.warehouse.object_store import pull, push
from nl2sql_align.tasks.warehouse.regular_files import OutsideError, check_inside, is_folder

CORPUS_FILE: Final = "corpus.toml"
CORPORA_FILE: Final = "corpora.toml"
SETTLE_SECONDS: Final = 600.0
"""How long the files of a dump must be unchanged before the dump is taken."""

_MARKERS: Final = ("_SUCCESS", ".complete")
PARTIAL: Final = re.compile(r".*\.(part|partial|filepart|crdownload|tmp|incomplete)|\..+\.\w{6}")
_DATA: Final = re.compile(r"(?P<stem>.+?)(\.snappy)?\.(json|jsonl|parquet|csv)(\.(gz|zst|bz2|xz))?")
SHARD: Final = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}(-[0-9a-f]+)?\.parquet")
_SPLIT: Final = re.compile(r"(?:.*[-_.])?(train|dev|validation|valid|val|test)(?:[-_.].*)?")
TARGET_SPLITS: Final = frozenset("dev validation valid val test".split())
"""The splits of data sets that are targets; the other one is ``train``."""
# Formats that only text-to-SQL data sets have, so that no other file is taken by mistake.
_LAYOUTS: Final = frozenset({"spider", "bird", "gretel"})
# Folder names that do not name the data set.
_PARTS: Final = frozenset("data train dev validation valid val test default main".split())
DATABASES: Final = re.compile(r"(.*_)?databases?")
_MAX_DEPTH: Final = 6


@dataclass(frozen=True)
class Discovery:
    """The corpora that a search found.

    Attributes:
        corpora: The corpora file for the main job; None if there are no corpora.
        new: Corpora without results of an earlier run.
        changed: Corpora whose files have changed.
        waiting: Corpora that are still being copied. Their earlier results are kept.
        retired: Corpora whose dumps are gone. Their results are kept.
        gone: One line for each of these.
        pruned: Corpora whose dumps are gone, and whose results are dropped.
        problems: One line for each dump or folder that could not be taken.
        skipped: One line for each file that is not recognized as a data set.
    """

    corpora: Path | None
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """A described or recognized corpus, and its description or folder."""

    entry: CorpusEntry
    source: Path
    is_recognized: bool = False


@dataclass(frozen=True)
class _Search:
    """A search in some folders.

    Attributes:
        within: The folders that links and descriptions must not lead out of.
        seen: The folders that were visited.
        problems: One line for each dump or folder that could not be taken.
        failed: The descriptions and folders of these.
        skipped: The files that are not recognized as a data set.
    """

    within: tuple[Path, ...]
    seen: set[Path] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    failed: set[Path] = field(default_factory=set)
    skipped: list[Path] = field(default_factory=list)

    def report(self, path: Path, problem: object) -> None:
        """Add a description or a folder that cannot be used."""
        self.problems.append(str(problem))
        self.failed.add(path)

    def has_failed(self, source: Path) -> bool:
        """Return whether a description, or a folder around it, cannot be used."""
        return not self.failed.isdisjoint((source, *source.parents))


@dataclass(frozen=True)
class _FileState:
    """The state of a dump's files.

    Attributes:
        digest: A digest of their names, sizes and times.
        newest: The time of the last change, in seconds since 1970.
        has_partial: Whether some file is still being copied.
        is_marked_complete: Whether a marker file says that the dump is complete.
    """

    digest: str
    newest: float
    has_partial: bool
    is_marked_complete: bool


def discover_dumps(
    folders: Sequence[Path],
    warehouse: Warehouse,
    *,
    allow: Sequence[Path] = (),
    settle_seconds: float = SETTLE_SECONDS,
    prune: bool = False,
    wait_seconds: float = 0.0,
    force: bool = False,
    now: datetime | None = None,
) -> Discovery:
    """Find the dumps in some folders, and write a corpora file that lists them.

    Args:
        folders: The folders to search.
        warehouse: The warehouse whose results follow the dumps.
        allow: More folders that links and descriptions in the folders may lead to.
        settle_seconds: How long the files of a dump must be unchanged before the dump is taken,
            unless its folder has a newer file ``_SUCCESS`` or ``.complete``.
        prune: Drop the corpora whose dumps are gone, and their results.
        wait_seconds: How long to wait if another run has locked the warehouse.
        force: Use a folder that contains other files for the warehouse.
        now: The current time; by default the clock's.

    Raises:
        ConfigurationError: None of the folders exists.
        WarehouseError: Another run has locked the warehouse, it cannot be written, or it contains
            other files.
    """
    refuse_credentials(*folders)
    now = now or datetime.now(UTC)
    folders = [Path(os.path.realpath(expand_home(folder))) for folder in folders]
    if not any(map(is_folder, folders)):
        listed = ", ".join(map(str, folders)) or "the list is empty"
        raise ConfigurationError(f"found no folder to search ({listed}); check folders")
    with warehouse.locked(wait_seconds, force=force):
        files = [
            file.relative_to(warehouse.folder).as_posix()
            for file in (
                _state_file(warehouse),
                _corpora_file(warehouse),
                warehouse.last_corpora_file,
            )
        ]
        pull(warehouse, *files)
        within = (*folders, *(Path(os.path.realpath(expand_home(folder))) for folder in allow))
        found = _discover_locked(folders, within, warehouse, settle_seconds, prune, now)
        push(warehouse, *files)
        return found


def _discover_locked(
    folders: list[Path],
    within: tuple[Path, ...],
    warehouse: Warehouse,
    settle_seconds: float,
    prune: bool,
    now: datetime,
) -> Discovery:
    search = _Search(within)
    for folder in folders:
        if not is_folder(folder):
            is_hidden = _may_exist(folder)
            why = "is not a folder that can be read" if is_hidden else "does not exist"
            search.report(folder, f"{folder}: {why}; check folders")
    listing = _Listing(search, warehouse, now)
    candidates = _find_candidates(folders, search)
    for candidate in candidates:
        listing.add(candidate, settle_seconds)
    listing.keep_missing(prune)
    described = [candidate.source for candidate in candidates if not candidate.is_recognized]
    for folder in folders:
        listing.check_folder(folder, described)
    entries = _drop_without_target(listing.entries, search.problems)
    return Discovery(
        _write_result(warehouse, entries, listing.state),
        new=tuple(listing.new),
        changed=tuple(listing.changed),
        waiting=tuple(listing.waiting),
        retired=tuple(listing.retired),
        gone=tuple(map(listing.describe_retired, listing.retired)),
        pruned=tuple(listing.pruned),
        problems=tuple(search.problems),
        skipped=tuple(
            f"{path}: not recognized as a data set; to use it, describe it in a {CORPUS_FILE}"
            for path in sorted(search.skipped)
        ),
    )


class _Listing:
    """The corpora of a search, compared with those of the last one.

    Attributes:
        entries: The corpora for the main job.
        state: A record of each corpus, for the next search.
        new, changed, waiting, retired, pruned: Names of corpora, as in ``Discovery``.
    """

    def __init__(self, search: _Search, warehouse: Warehouse, now: datetime) -> None:
        self.entries: list[CorpusEntry] = []
        self.state: dict[str, Any] = {}
        self.new: list[str] = []
        self.changed: list[str] = []
        self.waiting: list[str] = []
        self.retired: list[str] = []
        self.pruned: list[str] = []
        self._search = search
        self._now = now
        self._known = _read_state(warehouse, search.problems)
        self._taken = _read_last_corpora(warehouse)

    def add(self, candidate: _Candidate, settle_seconds: float) -> None:
        """List a corpus if its dump can be used, with its earlier results while it is copied."""
        entry, search = candidate.entry, self._search
        name, before = entry.name, self._recall(entry.name)
        try:
            files = _read_file_state(entry)
        except CorpusError as error:
            search.problems.append(str(error))
            if _may_exist(entry.path):  # else the dump is gone, and only its description is left
                search.failed.add(candidate.source)
            return
        is_same = before["look"] == files.digest
        record = {
            "source": str(candidate.source),
            "look": files.digest,
            "looked_at": before["looked_at"] if is_same else self._now.isoformat(),
            "taken_look": before["taken_look"],
            "retired_at": None,
        }
        if not _is_settled(files, record["looked_at"], self._now, settle_seconds):
            self.waiting.append(name)
            if name in self._taken:
                self.entries.append(_reuse_results(self._taken[name]))
        elif candidate.is_recognized and not _has_known_layout(entry):
            search.skipped.append(entry.path / (entry.glob or ""))
            return
        else:
            if name not in self._taken:
                self.new.append(name)
            elif before["taken_look"] != files.digest:
                self.changed.append(name)
            record["taken_look"] = files.digest
            self.entries.append(entry)
        self.state[name] = record

    def keep_missing(self, prune: bool) -> None:
        """Keep the results of the corpora whose dumps were not found, or drop them.

        Args:
            prune: Whether to drop those whose dumps are gone.
        """
        for name, corpus in self._taken.items():
            is_from_elsewhere = self._known is not None and name not in self._known
            if name in self.state or is_from_elsewhere:  # another corpora file lists it
                continue
            before = self._recall(name)
            if before["source"] is not None and self._search.has_failed(Path(before["source"])):
                # Its description or folder cannot be read, so that its dump may still exist.
                self.entries.append(_reuse_results(corpus))
                self.state[name] = before
            elif prune:
                self.pruned.append(name)
            else:
                self.retired.append(name)
                at = before["retired_at"] or (corpus[0].retired_at or self._now).isoformat()
                retired_at = datetime.fromisoformat(at)
                self.entries.append(_reuse_results(corpus, retired_at=retired_at))
                self.state[name] = before | {"retired_at": at}

    def check_folder(self, folder: Path, described: Sequence[Path]) -> None:
        """Report a folder that had dumps, and has none now: it may not be mounted.

        Args:
            folder: The folder.
            described: The descriptions in all folders; their dumps are reported one by one.
        """
        gone, left = 0, [*described, *self._search.failed]
        for name, record in self.state.items():
            if name not in self.retired:
                left.append(Path(record["source"]))
            elif record["source"] is not None:
                gone += Path(record["source"]).is_relative_to(folder)
        if gone and not any(source.is_relative_to(folder) for source in left):
            dumps = f"its {gone:,} known dumps" if gone > 1 else "its known dump"
            self._search.problems.append(
                f"{folder}: contains none of {dumps} any more; check that it is mounted, or drop "
                "their results with --prune"
            )

    def describe_retired(self, name: str) -> str:
        """Return a line about a corpus whose dump is gone."""
        since = datetime.fromisoformat(self.state[name]["retired_at"])
        return (
            f"{name}: its dump has been gone since {since.astimezone():%Y-%m-%d}; its results stay "
            "until a run with --prune"
        )

    def _recall(self, name: str) -> dict[str, Any]:
        """Return the record of a corpus by the last search."""
        record: dict[str, Any] = (self._known or {}).get(name, _UNSEEN)
        return record


def _has_known_layout(entry: CorpusEntry) -> bool:
    """Return whether an undescribed file is a data set: a known layout, or shards with SQL."""
    try:
        found = recognize_format(entry)
    except CorpusError:
        return False
    return entry.glob is not None or found.format in _LAYOUTS


# ---- search of folders -------------------------------------------------------------------------


def _find_candidates(folders: Sequence[Path], search: _Search) -> list[_Candidate]:
    """Return the possible corpora, with unique names."""
    found: dict[str, _Candidate] = {}
    for folder in folders:
        if not is_folder(folder):
            continue
        for candidate in _visit_folder(folder, search, 0):
            name = candidate.entry.name
            if name in found:
                search.problems.append(
                    f"{candidate.source}: corpus '{name}' is also in {found[name].source}; "
                    f"give one of them another name in its {CORPUS_FILE}"
                )
            else:
                bounded = _set_bounds(candidate.entry, search.within)
                found[name] = replace(candidate, entry=bounded)
    return list(found.values())


def _set_bounds(entry: CorpusEntry, within: tuple[Path, ...]) -> CorpusEntry:
    """Return a corpus whose files must be in some folders, or in the entry's own ones in them."""
    own = tuple(one for one in entry.within if any(map(one.is_relative_to, within)))
    return entry.model_copy(update={"within": own or within})


def _visit_folder(folder: Path, search: _Search, depth: int) -> Iterator[_Candidate]:
    real = Path(os.path.realpath(folder))
    if real in search.seen or depth > _MAX_DEPTH:
        return
    search.seen.add(real)
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        search.report(folder, f"{folder}: cannot be read ({error.strerror}); check permissions")
        return
    names = {child.name: child for child in children}
    for name, read in ((CORPORA_FILE, load_corpora), (CORPUS_FILE, _read_description)):
        if name in names:
            try:
                entries = read(names[name], search.within)
                yield from (_Candidate(entry, names[name]) for entry in entries)
            except (ConfigurationError, OSError) as error:
                search.report(names[name], error)
            return
    described: set[Path] = set()
    for child in children:
        if child.name.endswith(f".{CORPUS_FILE}"):
            try:
                for entry in _read_description(child, search.within):
                    described.add(entry.path)
                    yield _Candidate(entry, child)
            except (ConfigurationError, OSError) as error:
                search.report(child, error)
                described.update(_find_described_files(child))
    undescribed = [child for child in children if child not in described]
    yield from _find_recognizable(folder, undescribed, search)
    for child in children:
        is_other = child in described or child.name.startswith(".")
        if not is_other and not DATABASES.fullmatch(child.name) and _may_enter(child, search):
            yield from _visit_folder(child, search, depth + 1)


def _may_enter(child: Path, search: _Search) -> bool:
    """Return whether a path is a folder to visit; report links that lead out or nowhere."""
    try:
        if not stat.S_ISDIR(child.stat().st_mode):
            return False
        check_inside(os.path.realpath(child), search.within, child)
        return True
    except OutsideError as error:
        search.report(child, f"{child}: {error.strerror}; remove it, or allow it with --allow")
    except OSError as error:
        # The error of a corpus or a description has said so.
        if not _DATA.fullmatch(child.name) and child not in search.failed:
            search.report(child, f"{child}: cannot be read ({error.strerror}); remove or repair it")
    return False


def _may_exist(path: Path) -> bool:
    """Return whether a path exists, or may not be looked at."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        pass
    return True


def _read_description(file: Path, within: Sequence[Path] = ()) -> list[CorpusEntry]:
    """Return the corpora of a ``corpus.toml``: one with top-level keys, or ``[[corpus]]`` tables.

    Args:
        file: The description.
        within: The folders that it must be in; see ``read_toml``.

    Raises:
        ConfigurationError: The file cannot be read or is not valid.
    """
    document = read_toml(file, within)
    listed = document.pop("corpus", None)
    if listed is None:
        listed, document = [document], {}
    if document or not isinstance(listed, list) or not all(isinstance(r, dict) for r in listed):
        raise ConfigurationError(
            f"{file}: mixes [[corpus]] tables and other keys; use one or the other"
        )
    is_of_folder = file.name == CORPUS_FILE
    described = file.name.removesuffix(f".{CORPUS_FILE}")
    name = file.parent.name if is_of_folder else Path(described).stem
    defaults = {"name": make_name(name), "format": AUTO}
    entries = []
    for number, raw in enumerate(listed, start=1):
        raw = defaults | raw
        if "path" not in raw:
            beside = [_find_only_file(file)] if is_of_folder else _find_described_files(file)
            raw["path"] = str(next(iter(beside), file.parent))
        entries.append(parse_entry(file, number, raw))
    return entries


def _find_described_files(description: Path) -> list[Path]:
    """Return the files that a ``NAME.corpus.toml`` may describe: NAME, or NAME with a suffix."""
    name = description.name.removesuffix(f".{CORPUS_FILE}")
    exact = description.with_name(name)
    if os.path.lexists(exact):
        return [exact]
    others = sorted(path for path in description.parent.iterdir() if path != description)
    found = [path for path in others if path.name.startswith(f"{name}.")]
    return [path for path in found if not PARTIAL.fullmatch(path.name)]


def _find_only_file(description: Path) -> Path:
    """Return the only data file of a folder, or the folder if it has several."""
    files = [
        path
        for path in sorted(description.parent.iterdir())
        if not is_folder(path)
        and path.name not in (CORPUS_FILE, *_MARKERS)
        and not path.name.startswith((".", "README", "LICENSE"))
        and not PARTIAL.fullmatch(path.name)
    ]
    return files[0] if len(files) == 1 else description.parent


def _find_recognizable(folder: Path, children: list[Path], search: _Search) -> Iterator[_Candidate]:
    """Yield the files that may belong to a data set, judged by their names; skip the others."""
    shards: set[str] = set()
    for path in children:
        if path.name.startswith(".") or is_folder(path):
            continue
        if shard := SHARD.fullmatch(path.name):
            split = shard["split"]
            if split not in shards:
                shards.add(split)
                yield _make_candidate(folder, split, folder, f"{split}-*-of-*.parquet")
        elif not (data := _DATA.fullmatch(path.name)):
            # False for links to nowhere and files that may not be looked at, which are problems.
            if os.path.isfile(path) and not _is_expected(path):  # noqa: PTH113
                search.skipped.append(path)
        elif not SCHEMAS.fullmatch(data["stem"]):
            yield _make_candidate(folder, data["stem"], path, None)


def _is_expected(path: Path) -> bool:
    """Return whether a file is one that folders of dumps have beside their data."""
    name = path.name
    return (
        name in _MARKERS
        or name.endswith(f".{CORPUS_FILE}")
        or name.startswith(("README", "LICENSE"))
        or PARTIAL.fullmatch(name) is not None
    )


def _make_candidate(folder: Path, stem: str, path: Path, glob: str | None) -> _Candidate:
    entry = CorpusEntry(
        name=name_split(folder, stem),
        role=name_role(find_split(stem, folder.name)),
        format=AUTO,
        path=path,
        glob=glob,
    )
    return _Candidate(entry, folder, is_recognized=True)


def find_split(*names: str) -> str | None:
    """Return the split of a data set that the first of some names has in it, in lower case."""
    found = (_SPLIT.fullmatch(name.lower()) for name in names)
    return next((split[1] for split in found if split), None)


def name_role(split: str | None) -> Literal["train", "target"]:
    """Return the role of a split of a data set, and of data that is not divided into splits."""
    return "target" if split in TARGET_SPLITS else "train"


def name_split(folder: Path, stem: str) -> str:
    """Return the name of a corpus: that of its data set, and of its split.

    Args:
        folder: The folder of the file. The data set has its name, or that of a folder around it.
        stem: The name of the file, without its suffixes, or of the split.
    """
    base = folder
    while base.name.lower() in _PARTS and base.parent != base:
        base = base.parent
    # In train_spider.json and synthetic_text_to_sql_train.parquet, drop the data set's name.
    plain = stem.removesuffix("_spider").removeprefix("synthetic_text_to_sql_")
    inner = [part for part in folder.relative_to(base).parts if part not in ("data", plain)]
    return make_name("-".join([base.name, *inner, plain]))


# ---- completeness of dumps ---------------------------------------------------------------------


def _read_file_state(entry: CorpusEntry) -> _FileState:
    """Return the current state of a dump's files.

    Raises:
        CorpusError: The dump has no files, or they are being changed.
    """
    if entry.url is not None:
        problem = "is an address, and the nightly job reads folders only"
        remedy = "list it in a corpora file for nl2sql-align run"
        raise CorpusError(entry.name, entry.url, problem, remedy)
    files = list_files(entry)
    folder = entry.path if is_folder(entry.path) else entry.path.parent
    lines, newest = [], 0.0
    try:
        for file in files:
            stat = file.stat()
            lines.append(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}")
            # Copying may preserve the modification time, but not the change time.
            newest = max(newest, stat.st_mtime, stat.st_ctime)
        markers = [file.stat().st_mtime for name in _MARKERS if (file := folder / name).exists()]
        names = [path.name for path in folder.iterdir()]
    except OSError as error:  # a file was moved or removed just now
        problem = f"cannot be read ({error.strerror})"
        raise CorpusError(entry.name, entry.path, problem, "wait for the next run") from None
    own = {file.name for file in files}
    # Beside a single file, partial files may belong to another dump.
    has_partial = any(
        PARTIAL.fullmatch(name) and (entry.path == folder or _is_partial_copy(name, own))
        for name in names
    )
    digest = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return _FileState(digest, newest, has_partial, any(time >= newest for time in markers))


def _is_partial_copy(name: str, files: set[str]) -> bool:
    """Return whether a partial file will become one of the files."""
    return any(name.removeprefix(".").startswith(file) for file in files)


def _is_settled(files: _FileState, looked_at: str, now: datetime, seconds: float) -> bool:
    """Return whether a dump is marked complete, or has been unchanged for some seconds.

    ``looked_at`` is when its files were first seen in this state.
    """
    if files.has_partial:
        return False
    if files.is_marked_complete or seconds <= 0:
        return True
    # If the clock was set back, the time of the first look is in the future.
    apart = abs(now - datetime.fromisoformat(looked_at))
    return now.timestamp() - files.newest >= seconds or apart >= timedelta(seconds=seconds)


# ---- state between runs ------------------------------------------------------------------------

TakenCorpus = tuple[CorpusEntry, str]
"""A corpus of the last run with its final format and dialect, and its dump's digest."""


def _read_last_corpora(warehouse: Warehouse) -> dict[str, TakenCorpus]:
    try:
        records = json.loads(warehouse.last_corpora_file.read_text(encoding="utf-8"))
        return {
            name: (CorpusEntry.model_validate(record["entry"]), str(record["digest"]))
            for name, record in records.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return {}


def _reuse_results(corpus: TakenCorpus, retired_at: datetime | None = None) -> CorpusEntry:
    """Return the corpus with the digest of an earlier run, so that its results are reused."""
    entry, digest = corpus
    return entry.model_copy(update={"digest": digest, "retired_at": retired_at})


def _drop_without_target(entries: list[CorpusEntry], problems: list[str]) -> list[CorpusEntry]:
    """Return the corpora without predictions whose targets are missing."""
    targets = {entry.name for entry in entries if entry.role == "target"}
    for entry in entries:
        if entry.target is not None and entry.target not in targets:
            problems.append(
                f"corpus '{entry.name}' ({entry.path}): its target '{entry.target}' is missing; "
                "add that dump, or name another target"
            )
    return [entry for entry in entries if entry.target is None or entry.target in targets]


# The keys of a corpus in state.json; a "look" is the digest of a _FileState.
_UNSEEN: Final = dict.fromkeys(("source", "look", "looked_at", "taken_look", "retired_at"))


def _state_file(warehouse: Warehouse) -> Path:
    return warehouse.folder / "nightly" / "state.json"


def _corpora_file(warehouse: Warehouse) -> Path:
    return warehouse.folder / "nightly" / CORPORA_FILE


def _read_state(warehouse: Warehouse, problems: list[str]) -> dict[str, Any] | None:
    """Return the state of the last search, empty before the first one; None if it is damaged."""
    file = _state_file(warehouse)
    try:
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["corpora"]
        return {name: _check_times({**_UNSEEN, **record}) for name, record in state.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problems.append(f"{file}: cannot be read ({error}); it is ignored and written again")
        return None


def _check_times(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record if its times can be compared with the clock.

    Raises:
        ValueError: One of them is not a time with a time zone.
        TypeError: One of them is not a text.
    """
    for key in ("looked_at", "retired_at"):
        if record[key] is not None and datetime.fromisoformat(record[key]).tzinfo is None:
            raise ValueError(f"{key} has no time zone")
    return record


def _write_result(
    warehouse: Warehouse, entries: list[CorpusEntry], state: Mapping[str, Any]
) -> Path | None:
    """Write the state and the corpora file, and return the latter if it lists any corpora."""
    with write_atomically(_state_file(warehouse)) as temporary:
        text = json.dumps({"corpora": state}, indent=1, sort_keys=True)
        temporary.write_text(text, encoding="utf-8")
    file = _corpora_file(warehouse)
    if not entries:
        file.unlink(missing_ok=True)
        return None
    with write_atomically(file) as temporary:
        header = "# Written by the nightly flow: the corpora that it found or kept.\n\n"
        temporary.write_text(header + format_corpora(entries), encoding="utf-8")
    return file
