"""A draft of a corpora file for a folder of dumps, with its guesses as comments."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.ingest.archives import Source
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry, load_corpora, make_name
from nl2sql_align.tasks.ingest.dialect_names import name_dialect
from nl2sql_align.tasks.ingest.discovery import (
    CORPORA_FILE,
    CORPUS_FILE,
    DATABASES,
    PARTIAL,
    SHARD,
    find_split,
    name_role,
    name_split,
)
from nl2sql_align.tasks.ingest.dumps import DATA_SUFFIXES, SCHEMAS, find_compiled
from nl2sql_align.tasks.ingest.format_recognition import ANSWER_FORMATS, recognize_format
from nl2sql_align.tasks.ingest.yaml_documents import YAML
from nl2sql_align.tasks.run.given_corpora import make_unique
from nl2sql_align.tasks.run.inspection import Inspection, format_entry, inspect_corpus
from nl2sql_align.tasks.templates.dialect_choice import CLEARLY_MORE
from nl2sql_align.tasks.templates.parser_pool import stop_workers
from nl2sql_align.tasks.templates.rules import CANDIDATES
from nl2sql_align.tasks.warehouse.addresses import is_address, refuse_credentials
from nl2sql_align.tasks.warehouse.outputs import find_output
from nl2sql_align.tasks.warehouse.regular_files import is_folder, open_regular

_ANSWER_FOLDERS: Final = frozenset(
    "answer answers completions generated generations output outputs pred preds predicted "
    "prediction predictions responses results submission submissions".split()
)
_ANSWER_FILES: Final = frozenset(
    "completions generated generations pred preds predicted prediction predictions responses "
    "submission".split()
)
_REFERENCE_WORDS: Final = frozenset("gold golden reference references".split())
_TUNED_WORDS: Final = frozenset("finetuned ft lora qlora sft train trained tuned".split())
# Formats of the queries that people or programs really ask.
_WORKLOADS: Final = frozenset(
    "athena_history bigquery_jobs clickhouse_query_log databricks_history dbt dbt_manifest genie "
    "metabase mysql_digests mysql_slow_log oracle_sql oracle_sqltext pg_csvlog pg_jsonlog pg_log "
    "pg_stat_statements redash redshift_history redshift_text snowflake_history "
    "snowflake_semantic_model sqlserver_query_store superset trino_history".split()
)
# Not oracle, which in names of this field is a schema or an answer that was given.
_STATED_DIALECTS: Final = frozenset(CANDIDATES) - {"oracle"}
_OTHER_SUFFIXES: Final = {
    ".db .duckdb .sqlite .sqlite3 .mdb": "a database",
    ".md .rst .pdf .html .css .png .jpg .jpeg .gif .svg": "a document",
    ".py .sh .js .ipynb": "a program",
    ".toml .ini .cfg .lock": "a file of settings",
    ".bin .pt .pth .safetensors .gguf .npy .npz .pkl": "a model, or numbers",
}
_OTHER_NAMES: Final = re.compile(
    r"(readme|licen[cs]e|changelog|citation|notice|makefile|dockerfile|_success)(\W.*)?", re.I
)
_MAX_DEPTH: Final = 6
_N_PEEKED: Final = 200
_ORDER: Final = ("train", "target", "predictions")


@dataclass(frozen=True)
class DraftedCorpus:
    """A corpus of a draft.

    Attributes:
        entry: The corpus, with its format and dialect.
        n_queries: The number of its queries.
        notes: The guesses and their reasons, a sentence each.
    """

    entry: CorpusEntry
    n_queries: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CorporaDraft:
    """A written corpora file, and the files that it leaves out.

    Attributes:
        path: The corpora file.
        corpora: Its corpora.
        left_out: The files and folders that it does not take, each with the reason.
    """

    path: Path
    corpora: tuple[DraftedCorpus, ...]
    left_out: dict[str, str]


class _Place(NamedTuple):
    """A dump: the folder that it is in, its name without suffixes, its path and its files."""

    folder: Path
    stem: str
    path: Path
    glob: str | None = None

    @property
    def is_folder(self) -> bool:
        """Whether the whole folder is the dump."""
        return self.glob is None and self.path.is_dir()


class _Role(NamedTuple):
    name: str
    reason: str


def draft_corpora(folder: Path, out: Path = Path("corpora.toml")) -> CorporaDraft:
    """Look through a folder of dumps, logs and answers, and write a corpora file for it.

    Comments in the file give the guesses, their reasons, and the files left out. Roles are guessed
    from names (``train``, ``dev``, ``predictions``) and formats (query logs are targets).

    Args:
        folder: The folder.
        out: The file to write. Its paths are relative to its folder, where they are below it.

    Raises:
        ConfigurationError: A folder does not exist or contains no dump, or the file exists.
    """
    refuse_credentials(folder)
    out = find_output(out, "an empty file", lambda _: False)  # users edit corpora files
    if is_address(str(folder)) or not is_folder(folder):
        raise ConfigurationError(f"{folder}: is not a folder; name the one with the dumps")
    root = Path(os.path.realpath(folder))
    left_out: dict[str, str] = {}
    try:
        drafted = _draft_all(root, left_out)
    finally:
        stop_workers()
    corpora = _resolve_targets(drafted, root, left_out)
    if not corpora:
        reasons = "; ".join(f"{path}: {why}" for path, why in [*left_out.items()][:3])
        raise ConfigurationError(
            f"{folder}: contains no dump that can be used ({reasons or 'it is empty'}); "
            "nl2sql-align inspect FILE describes a file in detail"
        )
    text = _format_draft(corpora, left_out, Path(os.path.realpath(out.parent)))
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(
            f"{out}: cannot be written ({error.strerror}); choose another file with -o"
        ) from None
    load_corpora(out)
    return CorporaDraft(out, tuple(corpora), left_out)


# ---- the search --------------------------------------------------------------------------------


def _draft_all(root: Path, left_out: dict[str, str]) -> list[DraftedCorpus]:
    drafted = []
    names: set[str] = set()
    for place in _find_places(root, root, left_out, 0):
        shown = (
            (place.folder / place.glob if place.glob else place.path).relative_to(root).as_posix()
        )
        try:
            one = _draft_corpus(place, root, names)
        except CorpusError as error:
            left_out[shown] = f"{error.problem}; {error.remedy}"
            announce("inspect", f"{shown}: left out")
            continue
        names.add(one.entry.name)
        drafted.append(one)
        announce("inspect", f"{shown}: {one.entry.format}, {one.n_queries:,} queries")
    return drafted


def _find_places(
    folder: Path, root: Path, left_out: dict[str, str], depth: int
) -> Iterator[_Place]:
    """Yield the dumps in a folder: the folder itself, its files, or those of its subfolders."""
    shown = folder.relative_to(root).as_posix()
    if depth > _MAX_DEPTH:
        left_out[shown] = f"is more than {_MAX_DEPTH} folders deep"
        return
    try:
        children = sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError as error:
        left_out[shown] = f"cannot be read ({error.strerror})"
        return
    if _is_one_dump(folder, children):
        yield _Place(folder.parent, folder.name, folder)
        return
    splits: set[str] = set()
    subfolders = []
    for child in children:
        if is_folder(child):
            subfolders.append(child)
        elif why := _find_other_use(child):
            left_out[child.relative_to(root).as_posix()] = why
        elif shard := SHARD.fullmatch(child.name):
            if shard["split"] not in splits:
                splits.add(shard["split"])
                yield _Place(folder, shard["split"], folder, f"{shard['split']}-*-of-*.parquet")
        else:
            yield _Place(folder, child.name.split(".")[0], child)
    for child in subfolders:
        name = child.relative_to(root).as_posix()
        if DATABASES.fullmatch(child.name):
            left_out[name] = "is a folder of databases, by its name"
        elif not Path(os.path.realpath(child)).is_relative_to(root):
            left_out[name] = "is a link to a folder elsewhere; run init on that folder"
        elif child.is_symlink():
            left_out[name] = "is a link to a folder that is searched, too"
        else:
            yield from _find_places(child, root, left_out, depth + 1)


def _is_one_dump(folder: Path, children: Sequence[Path]) -> bool:
    """Return whether a folder is one dump, so that its files are only parts."""
    names = [child.name for child in children]
    if "dbt_project.yml" in names or find_compiled(folder):
        return True
    if all(any(name.endswith(end) for name in names) for end in ("label.json", "data.json")):
        return True
    files = [child for child in children if not is_folder(child) and not _find_other_use(child)]
    kinds = {Source(file).suffix for file in files}
    if kinds == {".sql"}:
        return _holds_single_queries(files)
    if kinds == {".jsonl"} and any(map(is_folder, children)):
        return _recognizes(folder, {"spider2"}) and _names_instances(folder, files)
    return bool(kinds) and kinds <= YAML and _recognizes(folder, {"metabase", "superset"})


def _holds_single_queries(files: Sequence[Path]) -> bool:
    """Return whether several SQL files have one query each, and no file is named like a split."""
    if len(files) < 2 or any(find_split(file.stem) for file in files):
        return False
    return all(_holds_single_query(file) for file in files[:_N_PEEKED])


def _holds_single_query(file: Path) -> bool:
    try:
        entry = CorpusEntry(name="file", role="train", format=AUTO, path=file)
        if recognize_format(entry).format == "sql_files":
            return True
        with open_regular(file) as opened:
            return sum(1 for line in opened if line.strip()) == 1
    except (OSError, CorpusError):
        return False


def _names_instances(folder: Path, files: Sequence[Path]) -> bool:
    """Return whether JSON lines name a SQL file in a subfolder as one of their instances."""
    stems = [path.stem for path in sorted(folder.glob("*/*.sql"))[:_N_PEEKED]]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return any(f'"{stem}"' in text for stem in stems for text in texts)


def _recognizes(folder: Path, formats: set[str]) -> bool:
    entry = CorpusEntry(name="folder", role="train", format=AUTO, path=folder)
    try:
        return recognize_format(entry).format in formats
    except CorpusError:
        return False


def _find_other_use(file: Path) -> str | None:
    """Return why a file is not a dump, judged by its name."""
    name = file.name.lower()
    if PARTIAL.fullmatch(name):
        return "is still being copied, by its name; run init again later"
    if SCHEMAS.fullmatch(name.split(".")[0]) and Source(file).suffix in DATA_SUFFIXES:
        return "describes tables, by its name; select --schemas reads such files"
    if name.endswith((CORPORA_FILE, CORPUS_FILE)):
        return "describes corpora itself; nl2sql-align run or nightly reads such files"
    suffix = Source(file).suffix
    uses = (use for suffixes, use in _OTHER_SUFFIXES.items() if suffix in suffixes.split())
    if use := next(uses, None):
        return f"is {use}, by its name"
    return "is not data, by its name" if _OTHER_NAMES.fullmatch(name) else None


# ---- roles -------------------------------------------------------------------------------------


def _draft_corpus(place: _Place, root: Path, names: set[str]) -> DraftedCorpus:
    """Inspect a dump, with the role that is guessed for it.

    Raises:
        CorpusError: It cannot be used.
    """
    role = _guess_role(place, root)
    is_named_twice = place.is_folder or place.stem == place.folder.name
    name = make_name(place.stem) if is_named_twice else name_split(place.folder, place.stem)
    name = make_unique(name, names)
    entry, found, dialect = _inspect(place, name, role.name)
    if role.name != "predictions" and entry.format in ANSWER_FORMATS:
        role = _Role("predictions", f"format {entry.format} contains a model's answers")
        entry, found, dialect = _inspect(place, name, role.name)
    elif not role.reason and entry.format in _WORKLOADS:
        role = _Role("target", f"format {entry.format} contains queries that were really asked")
        entry = entry.model_copy(update={"role": "target"})
    if found.n_parsed and sum(found.reject_reasons.values()) == found.n_parsed:
        raise CorpusError(
            name,
            place.path,
            f"its first {found.n_parsed:,} texts are not queries "
            f"({next(iter(found.reject_reasons))})",
            f"see nl2sql-align inspect {place.path}",
        )
    reason = role.reason or "a guess, as nothing in its name says train, dev, test or predictions"
    notes = [f"role: {reason}", f"format: {found.format_reason}", f"dialect: {dialect}"]
    return DraftedCorpus(entry, found.n_queries, (*notes, *_describe_reading(found)))


def _inspect(place: _Place, name: str, role: str) -> tuple[CorpusEntry, Inspection, str]:
    """Return a dump as a corpus, its inspection, and the reason for its dialect.

    The dialect is the one that its name or its folder says, if it parses nearly all queries.
    """
    keys = {"target": "...", "model": place.stem or name} if role == "predictions" else {}
    given = CorpusEntry.model_validate(
        {
            "name": name,
            "role": role,
            "format": AUTO,
            "path": place.path,
            "glob": place.glob,
            **keys,
        }
    )
    for word in re.findall("[a-z]+", f"{place.stem} {place.folder.name}".lower()):
        if (stated := name_dialect(word)) in _STATED_DIALECTS:
            named = given.model_copy(update={"dialect": stated})
            entry, found = inspect_corpus(named, place.path, n_examples=0)
            if sum(found.reject_reasons.values()) <= CLEARLY_MORE * found.n_parsed:
                return entry, found, f"'{word}' is in its name or that of its folder"
    entry, found = inspect_corpus(given, place.path, n_examples=0)
    why = "the dump's own" if found.has_own_dialect else "it parses the most queries"
    return entry, found, f"{why} ({found.dialect_shares[found.dialect]:.1%} of a sample)"


def _describe_reading(found: Inspection) -> Iterator[str]:
    n_rejected = sum(found.reject_reasons.values())
    if n_rejected:
        yield (
            f"{n_rejected:,} of the first {count_noun(found.n_parsed, 'text')} "
            f"{'is' if n_rejected == 1 else 'are'} rejected, most often: "
            f"{next(iter(found.reject_reasons))}"
        )
    yield from found.hints
    yield from found.rows.remarks
    if found.lists:
        yield found.lists


def _guess_role(place: _Place, root: Path) -> _Role:
    """Guess a role from the names of a file and its folders; without a reason, it is ``train``."""
    around = place.path if place.is_folder else place.folder
    folders = [*around.relative_to(root).parts[::-1], root.name]
    words = _list_words(place.stem)
    if not words & _REFERENCE_WORDS:
        if found := words & _ANSWER_FILES:
            return _Role("predictions", f"'{min(found)}' is in its name")
        for folder in folders:
            if _list_words(folder) & _ANSWER_FOLDERS:
                return _Role("predictions", f"it is in folder {folder}")
    if split := find_split(place.stem):
        return _Role(name_role(split), f"'{split}' is in its name")
    for folder in folders:
        if split := find_split(folder):
            return _Role(name_role(split), f"it is in folder {folder}")
    return _Role("train", "")


def _list_words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def _resolve_targets(
    drafted: list[DraftedCorpus], root: Path, left_out: dict[str, str]
) -> list[DraftedCorpus]:
    """Return the corpora, with a target for all predictions; leave out those without one."""
    targets = [one for one in drafted if one.entry.role == "target"]
    corpora = []
    for one in drafted:
        if one.entry.role != "predictions":
            corpora.append(one)
            continue
        shown = one.entry.path.relative_to(root).as_posix()
        ranked = sorted(targets, key=lambda target: _rate_target(target, one, shown), reverse=True)
        ratings = [_rate_target(target, one, shown) for target in ranked]
        best = [
            target for target, rating in zip(ranked, ratings, strict=True) if rating == ratings[0]
        ]
        if len(best) == 1:
            corpora.append(_set_target(one, best[0], ratings[0], len(targets)))
        elif best:
            names = ", ".join(target.entry.name for target in best)
            left_out[shown] = (
                f"contains a model's answers ({one.n_queries:,}) to one of several targets "
                f'({names}); add it with role = "predictions", target and model'
            )
        else:
            left_out[shown] = (
                "contains a model's answers, and no target was found; add it with role = "
                '"predictions", target and model'
            )
    return corpora


def _rate_target(
    target: DraftedCorpus, answers: DraftedCorpus, shown: str
) -> tuple[bool, bool, int]:
    """Rate a target for answers: as many questions, its whole name, and shared words count."""
    words, own = _list_words(shown), _list_words(target.entry.name)
    return target.n_queries == answers.n_queries, own <= words, len(own & words)


def _set_target(
    one: DraftedCorpus, target: DraftedCorpus, rating: tuple[bool, bool, int], n_targets: int
) -> DraftedCorpus:
    has_as_many, is_named, n_words = rating
    reasons = [
        "the only target" if n_targets == 1 else "",
        "its name is in the path"
        if is_named
        else f"{n_words} words of its name are in the path"
        if n_words and n_targets > 1
        else "",
        "it has as many questions as there are answers"
        if has_as_many
        else f"but it has {target.n_queries:,} questions, and there are {one.n_queries:,} answers",
    ]
    notes = [*one.notes, f"target: {', '.join(filter(None, reasons))}"]
    if _list_words(one.entry.path.name) & _TUNED_WORDS:
        notes.append("the model seems to be tuned, by its name: set trained_on to the corpus")
    entry = one.entry.model_copy(update={"target": target.entry.name})
    return replace(one, entry=entry, notes=tuple(notes))


# ---- the file ----------------------------------------------------------------------------------


def _format_draft(corpora: Sequence[DraftedCorpus], left_out: dict[str, str], folder: Path) -> str:
    """Return the text of the corpora file; ``folder`` is the one that it will be in."""
    blocks = [
        "# Written by nl2sql-align init. The comments explain the guesses: check the roles and\n"
        "# the targets, and set trained_on for the answers of tuned models."
    ]
    roles = {one.entry.role for one in corpora}
    if "target" not in roles:
        blocks.append("# No target was found: set the role of the queries to serve to target.")
    for one in sorted(corpora, key=lambda one: _ORDER.index(one.entry.role)):
        path = one.entry.path
        near = path.relative_to(folder) if path.is_relative_to(folder) else path
        notes = [_comment(note) for note in (f"{one.n_queries:,} queries", *one.notes)]
        blocks.append("\n".join([*notes, format_entry(one.entry, near)]))
    if left_out:
        lines = [_comment(f"{path}: {why}") for path, why in left_out.items()]
        blocks.append("\n".join(["# Left out:", *lines]))
    return "\n\n".join([*blocks, ""])


def _comment(text: str) -> str:
    """Return a text as a comment of one line: names and texts of dumps may contain anything."""
    return "# " + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
