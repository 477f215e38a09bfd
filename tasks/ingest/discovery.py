"""What dumps there are in folders that people and programs put them into.

A dump is described by a ``corpus.toml`` in its folder, or a ``NAME.corpus.toml`` beside its file;
one in the layout of Spider, BIRD, Gretel or a Hugging Face data set of Parquet files needs none. A
folder with a ``corpora.toml`` lists its own.

What was found stands in ``nightly/`` of the warehouse: ``state.json``, for the next time, and
``corpora.toml``, which the main job takes.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import (
    AUTO,
    CorpusEntry,
    check_entry,
    load_corpora,
    read_toml,
)
from nl2sql_align.tasks.ingest.dumps import list_files
from nl2sql_align.tasks.ingest.format_recognition import recognise
from nl2sql_align.tasks.warehouse.folder import Warehouse, write_atomically
from nl2sql_align.tasks.warehouse.object_store import pull, push

CORPUS_FILE: Final = "corpus.toml"
CORPORA_FILE: Final = "corpora.toml"
SETTLE_SECONDS: Final = 600.0
"""A dump is taken when none of its files has changed for so long."""

_WHOLE: Final = ("_SUCCESS", ".complete")
_IN_PART: Final = re.compile(r".*\.(part|partial|filepart|crdownload|tmp|incomplete)|\..+\.\w{6}")
_DATA: Final = re.compile(r"(?P<stem>.+?)(\.snappy)?\.(json|jsonl|parquet|csv)(\.(gz|zst|bz2|xz))?")
_SHARD: Final = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}(-[0-9a-f]+)?\.parquet")
_SCHEMAS: Final = re.compile(r"(.*_)?tables|schema|dataset_infos?")
_SPLIT: Final = re.compile(r"(?:.*[-_.])?(train|dev|validation|valid|val|test)(?:[-_.].*)?")
# Files of these formats are known for data sets of text-to-SQL: none is taken by mistake.
_LAYOUTS: Final = frozenset({"spider", "bird", "gretel"})
# What names a part of a data set, not the data set.
_PARTS: Final = frozenset("data train dev validation valid val test default main".split())
_DATABASES: Final = re.compile(r"(.*_)?databases?")
_DEEPEST: Final = 6


@dataclass(frozen=True)
class Discovery:
    """What there is to compare now.

    Attributes:
        corpora: The corpora file for the main job; None where there is nothing.
        new: Corpora that were not there before.
        changed: Corpora with other files than before.
        waiting: Corpora that are still being copied. What is known of them from before is kept.
        retired: Corpora whose dumps are gone; their results are kept.
        pruned: Retired corpora that were now dropped.
        problems: What could not be taken, one line each.
    """

    corpora: Path | None
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    pruned: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """A corpus that is described or recognised, and the file or folder that says so."""

    entry: CorpusEntry
    source: Path
    is_recognised: bool = False


@dataclass(frozen=True)
class _Look:
    """The state of a dump's files: a digest of names, sizes and times, and how old the last is."""

    digest: str
    newest: float
    is_in_part: bool
    is_marked_whole: bool


def discover(
    folders: Sequence[Path],
    warehouse: Warehouse,
    *,
    settle_seconds: float = SETTLE_SECONDS,
    prune: bool = False,
    wait_seconds: float = 0.0,
    now: datetime | None = None,
) -> Discovery:
    """Looks through folders of dumps, and writes a corpora file of what is there.

    Args:
        folders: Where dumps are put.
        warehouse: Whose results are to follow them.
        settle_seconds: A dump is left for the next time while one of its files has changed so
            recently, unless its folder has a newer file ``_SUCCESS`` or ``.complete``.
        prune: Drop the corpora whose dumps are gone, and their results.
        wait_seconds: How long to wait where a run holds the warehouse.
        now: The time; by default the clock's.

    Raises:
        ConfigurationError: None of the folders is there.
        WarehouseError: Another run holds the warehouse, or it cannot be written.
    """
    now = now or datetime.now(UTC)
    folders = [folder.resolve() for folder in folders]
    if not any(folder.is_dir() for folder in folders):
        shown = ", ".join(map(str, folders)) or "none is named"
        raise ConfigurationError(f"there is no folder to look through ({shown}); check folders")
    with warehouse.locked(wait_seconds):
        files = [
            file.relative_to(warehouse.folder).as_posix()
            for file in (
                _state_file(warehouse),
                _corpora_file(warehouse),
                warehouse.last_corpora_file,
            )
        ]
        pull(warehouse, *files)
        found = _discover(folders, warehouse, settle_seconds, prune, now)
        push(warehouse, *files)
        return found


def _discover(
    folders: list[Path], warehouse: Warehouse, settle_seconds: float, prune: bool, now: datetime
) -> Discovery:
    problems = [f"{f}: is not there; check folders" for f in folders if not f.is_dir()]
    known = _read_state(warehouse, problems)
    taken_before = read_cards(warehouse)
    candidates, failed = _candidates(folders, problems)

    entries: list[CorpusEntry] = []
    state: dict[str, Any] = {}
    told: dict[str, list[str]] = {key: [] for key in ("new", "changed", "waiting")}
    for candidate in candidates:
        name = candidate.entry.name
        before = (known or {}).get(name, _NOTHING)
        entry = candidate.entry
        try:
            look = _look(entry)
        except CorpusError as error:
            problems.append(str(error))
            if entry.path.exists():  # else it is gone, and only its description is left
                failed.add(candidate.source)
            continue
        state[name] = {
            "source": str(candidate.source),
            "look": look.digest,
            "looked_at": before["looked_at"] if before["look"] == look.digest else now.isoformat(),
            "taken_look": before["taken_look"],
            "retired_at": None,
        }
        if not _is_settled(look, state[name]["looked_at"], now, settle_seconds):
            told["waiting"].append(name)
            if name in taken_before:
                entries.append(_as_known(taken_before[name]))
            continue
        if candidate.is_recognised:
            try:
                found = recognise(entry)
            except CorpusError:
                found = None
            is_shards = entry.glob is not None
            if found is None or not (is_shards or found.format in _LAYOUTS):
                del state[name]
                continue
        if name not in taken_before:
            told["new"].append(name)
        elif before["taken_look"] != look.digest:
            told["changed"].append(name)
        state[name]["taken_look"] = look.digest
        entries.append(entry)
    retired, pruned = [], []
    for name, (entry, digest) in taken_before.items():
        if name in state:
            continue
        if known is not None and name not in known:
            continue  # taken by a run over another corpora file
        before = (known or {}).get(name, _NOTHING)
        card = (entry, digest)
        if before["source"] in {str(source) for source in failed}:
            # Its description cannot be read: nothing says that its dump is gone.
            entries.append(_as_known(card))
            state[name] = before
        elif prune:
            pruned.append(name)
        else:
            retired.append(name)
            at = before["retired_at"] or (entry.retired_at or now).isoformat()
            entries.append(_as_known(card).model_copy(update={"retired_at": _time(at)}))
            state[name] = before | {"retired_at": at}
    entries = _with_targets(entries, problems)
    file = _write(warehouse, entries, state)
    return Discovery(
        file,
        new=tuple(told["new"]),
        changed=tuple(told["changed"]),
        waiting=tuple(told["waiting"]),
        retired=tuple(retired),
        pruned=tuple(pruned),
        problems=tuple(problems),
    )


# ---- looking through folders -------------------------------------------------------------------


def _candidates(folders: Sequence[Path], problems: list[str]) -> tuple[list[_Candidate], set[Path]]:
    """All corpora that are described or may be recognised, by unique names, and what failed."""
    failed: set[Path] = set()
    found: dict[str, _Candidate] = {}
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            continue
        for candidate in _visit(folder, seen, problems, failed, 0):
            name = candidate.entry.name
            if name in found:
                problems.append(
                    f"{candidate.source}: corpus '{name}' is also in {found[name].source}; "
                    f"give one of them another name in its {CORPUS_FILE}"
                )
            else:
                found[name] = candidate
    return list(found.values()), failed


def _visit(
    folder: Path, seen: set[Path], problems: list[str], failed: set[Path], depth: int
) -> Iterator[_Candidate]:
    if folder.resolve() in seen or depth > _DEEPEST:
        return
    seen.add(folder.resolve())
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        problems.append(f"{folder}: cannot be read ({error.strerror}); check permissions")
        failed.add(folder)
        return
    names = {child.name: child for child in children}
    for name, read in ((CORPORA_FILE, load_corpora), (CORPUS_FILE, _described)):
        if name in names:
            try:
                yield from (_Candidate(entry, names[name]) for entry in read(names[name]))
            except ConfigurationError as error:
                problems.append(str(error))
                failed.add(names[name])
            return
    described: set[Path] = set()
    for child in children:
        if child.name.endswith(f".{CORPUS_FILE}"):
            try:
                for entry in _described(child):
                    described.add(entry.path)
                    yield _Candidate(entry, child)
            except ConfigurationError as error:
                problems.append(str(error))
                failed.add(child)
                described.update(_beside(child))
    yield from _recognisable(folder, [c for c in children if c not in described])
    for child in children:
        is_other = child in described or child.name.startswith(".")
        if child.is_dir() and not is_other and not _DATABASES.fullmatch(child.name):
            yield from _visit(child, seen, problems, failed, depth + 1)


def _described(file: Path) -> list[CorpusEntry]:
    """The corpora of a ``corpus.toml``: the keys of one at its top, or ``[[corpus]]`` tables.

    Raises:
        ConfigurationError: It cannot be read or says something that makes no sense.
    """
    document = read_toml(file)
    listed = document.pop("corpus", None)
    if listed is None:
        listed, document = [document], {}
    if document or not isinstance(listed, list) or not all(isinstance(r, dict) for r in listed):
        raise ConfigurationError(
            f"{file}: has keys beside [[corpus]] tables; write the keys of one corpus, or tables"
        )
    own = file.name == CORPUS_FILE
    name = file.parent.name if own else file.name.removesuffix(f".{CORPUS_FILE}")
    defaults = {"name": _as_name(Path(name).stem if not own else name), "format": AUTO}
    entries = []
    for number, raw in enumerate(listed, start=1):
        raw = defaults | raw
        if "path" not in raw:
            raw["path"] = str(_only_file(file) if own else next(iter(_beside(file)), file.parent))
        entries.append(check_entry(file, number, raw))
    return entries


def _beside(description: Path) -> list[Path]:
    """The files that a ``NAME.corpus.toml`` may be about: NAME, or NAME with a suffix."""
    name = description.name.removesuffix(f".{CORPUS_FILE}")
    exact = description.with_name(name)
    if exact.exists():
        return [exact]
    others = sorted(path for path in description.parent.iterdir() if path != description)
    found = [path for path in others if path.name.startswith(f"{name}.")]
    return [path for path in found if not _IN_PART.fullmatch(path.name)]


def _only_file(description: Path) -> Path:
    """The one data file of a folder, or the folder where there are several."""
    files = [
        path
        for path in sorted(description.parent.iterdir())
        if path.is_file()
        and path.name not in (CORPUS_FILE, *_WHOLE)
        and not path.name.startswith((".", "README", "LICENSE"))
        and not _IN_PART.fullmatch(path.name)
    ]
    return files[0] if len(files) == 1 else description.parent


def _recognisable(folder: Path, children: list[Path]) -> Iterator[_Candidate]:
    """Files that may be a data set's, by their names."""
    base = folder
    while base.name.lower() in _PARTS and base.parent != base:
        base = base.parent
    shards: set[str] = set()
    for path in children:
        if path.name.startswith(".") or not path.is_file():
            continue
        if shard := _SHARD.fullmatch(path.name):
            split = shard["split"]
            if split not in shards:
                shards.add(split)
                yield _candidate(folder, base, split, folder, f"{split}-*-of-*.parquet")
        elif (data := _DATA.fullmatch(path.name)) and not _SCHEMAS.fullmatch(data["stem"]):
            yield _candidate(folder, base, data["stem"], path, None)


def _candidate(folder: Path, base: Path, stem: str, path: Path, glob: str | None) -> _Candidate:
    split = _SPLIT.fullmatch(stem.lower()) or _SPLIT.fullmatch(folder.name.lower())
    is_train = split is None or split[1] == "train"
    # train_spider.json and synthetic_text_to_sql_train.parquet are known by their data sets' names.
    plain = stem.removesuffix("_spider").removeprefix("synthetic_text_to_sql_")
    inner = [part for part in folder.relative_to(base).parts if part not in ("data", plain)]
    entry = CorpusEntry(
        name=_as_name("-".join([base.name, *inner, plain])),
        role="train" if is_train else "target",
        format=AUTO,
        path=path,
        glob=glob,
    )
    return _Candidate(entry, folder, is_recognised=True)


def _as_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:100] or "corpus"


# ---- whether a dump is whole -------------------------------------------------------------------


def _look(entry: CorpusEntry) -> _Look:
    """How the files of a dump are now.

    Raises:
        CorpusError: There are none.
    """
    files = list_files(entry)
    folder = entry.path if entry.path.is_dir() else entry.path.parent
    lines, newest = [], 0.0
    try:
        for file in files:
            stat = file.stat()
            lines.append(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}")
            # The change time cannot be set by who copies with times.
            newest = max(newest, stat.st_mtime, stat.st_ctime)
        marks = [mark.stat().st_mtime for name in _WHOLE if (mark := folder / name).exists()]
        names = [path.name for path in folder.iterdir()]
    except OSError as error:  # it is being changed this moment
        raise CorpusError(
            entry.name, entry.path, f"cannot be read ({error.strerror})", "see the next run"
        ) from None
    own = {file.name for file in files}
    # Beside a single file, what is in part may be another dump's.
    in_part = [n for n in names if _IN_PART.fullmatch(n) and (entry.path == folder or _of(n, own))]
    digest = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return _Look(digest, newest, bool(in_part), any(mark >= newest for mark in marks))


def _of(name: str, files: set[str]) -> bool:
    """Whether a file in part is to become one of the files."""
    return any(name.removeprefix(".").startswith(file) for file in files)


def _is_settled(look: _Look, looked_at: str, now: datetime, seconds: float) -> bool:
    if look.is_in_part:
        return False
    if look.is_marked_whole or seconds <= 0:
        return True
    # Seen as it is so long ago; or at a time that is still to come: the clock was set back.
    apart = abs(now - _time(looked_at))
    return now.timestamp() - look.newest >= seconds or apart >= timedelta(seconds=seconds)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


# ---- what is kept between runs -----------------------------------------------------------------

Card = tuple[CorpusEntry, str]
"""A corpus as it was last taken, with its format and dialect settled, and its dump's digest."""


def read_cards(warehouse: Warehouse) -> dict[str, Card]:
    """The corpora of the last run, by name."""
    try:
        cards = json.loads(warehouse.last_corpora_file.read_text(encoding="utf-8"))
        return {
            name: (CorpusEntry.model_validate(card["entry"]), str(card["digest"]))
            for name, card in cards.items()
        }
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return {}


def _as_known(card: Card) -> CorpusEntry:
    """A corpus whose results stand for content that an earlier run has read."""
    entry, digest = card
    return entry.model_copy(update={"digest": digest, "retired_at": None})


def _with_targets(entries: list[CorpusEntry], problems: list[str]) -> list[CorpusEntry]:
    """The corpora, without predictions on targets that are not there."""
    targets = {entry.name for entry in entries if entry.role == "target"}
    for entry in entries:
        if entry.target is not None and entry.target not in targets:
            problems.append(
                f"corpus '{entry.name}' ({entry.path}): its target '{entry.target}' is not there; "
                "add that dump, or name another target"
            )
    return [entry for entry in entries if entry.target is None or entry.target in targets]


_NOTHING: Final = dict.fromkeys(("source", "look", "looked_at", "taken_look", "retired_at"))


def _state_file(warehouse: Warehouse) -> Path:
    return warehouse.folder / "nightly" / "state.json"


def _corpora_file(warehouse: Warehouse) -> Path:
    return warehouse.folder / "nightly" / CORPORA_FILE


def _read_state(warehouse: Warehouse, problems: list[str]) -> dict[str, Any] | None:
    """What was seen before; None where that cannot be told."""
    file = _state_file(warehouse)
    try:
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["corpora"]
        return {name: {**_NOTHING, **record} for name, record in state.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        problems.append(f"{file}: cannot be read ({error}); what was seen before is not known")
        return None


def _write(
    warehouse: Warehouse, entries: list[CorpusEntry], state: Mapping[str, Any]
) -> Path | None:
    with write_atomically(_state_file(warehouse)) as temporary:
        text = json.dumps({"corpora": state}, indent=1, sort_keys=True)
        temporary.write_text(text, encoding="utf-8")
    file = _corpora_file(warehouse)
    if not entries:
        file.unlink(missing_ok=True)
        return None
    with write_atomically(file) as temporary:
        header = "# Written by the nightly flow: what it found, and what it kept.\n\n"
        temporary.write_text(header + to_toml(entries), encoding="utf-8")
    return file


def to_toml(entries: Sequence[CorpusEntry]) -> str:
    """A corpora file that lists some corpora."""
    tables = []
    for entry in entries:
        given = entry.model_dump(exclude_defaults=True)
        lines = [f"{key} = {_toml(value)}" for key, value in given.items()]
        tables.append("\n".join(["[[corpus]]", *lines]))
    return "\n\n".join([*tables, ""])


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{key} = {_toml(v)}" for key, v in value.items() if v is not None]
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, datetime):
        return value.isoformat()
    # What JSON escapes is a subset of what TOML does, but for one character.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
