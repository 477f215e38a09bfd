"""The corpora file, a TOML file that lists the corpora to compare."""

import os
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path, PurePath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest
from nl2sql_align.tasks.base.run_sql import declared_parameters, list_sql
from nl2sql_align.tasks.ingest.dialect_names import list_dialects, suggest_dialect
from nl2sql_align.tasks.ingest.statements import KINDS, Kind, Statements
from nl2sql_align.tasks.warehouse.addresses import expand_home, is_address, refuse_credentials
from nl2sql_align.tasks.warehouse.regular_files import open_regular

_MISTAKE = "mistake"
AUTO: Final = "auto"
"""The format or dialect that the program recognizes or chooses itself."""
LONGEST_NAME: Final = 100
"""The most characters that the name of a corpus can have."""
ALIASES: Final = {
    "archer": "spider",
    "bird_interact": "bird_critic",
    "bird_interact_predictions": "bird_critic_predictions",
    "cosql": "sparc",
    "json": "jsonl",
    "kaggledbqa": "spider",
    "livesqlbench": "bird_critic",
    "livesqlbench_predictions": "bird_critic_predictions",
    "omnisql": "synsql",
    "sciencebenchmark": "spider",
    "sharegpt": "chat",
}
"""Other names of formats, and data sets that use the format of another one."""
# In these formats, answers have prose and fences around their SQL.
_ANSWER_FORMATS: Final = frozenset(
    {
        "alpaca",
        "anthropic_batch",
        "chat",
        "gemini_batch",
        "llama_factory_gold",
        "omnisql_sft",
        "openai_batch",
        "trl",
        "verl",
        "vllm",
    }
)
# In these formats, answers are scripts that were extracted before: all their statements count.
_SCRIPT_FORMATS: Final = frozenset({"bird_critic_predictions"})
# The formats that read the answers of a layout, and those that read the references in its rows.
_REFERENCES: Final = {
    "bird_critic_predictions": "bird_critic",
    "llama_factory": "llama_factory_gold",
    "lm_eval": "lm_eval_gold",
    "omnisql_predictions": "omnisql_sft",
    "verl_predictions": "verl",
}
# The other way around, with the way to read the answers for the message.
_ANSWERS: Final = {reference: f"'{answers}'" for answers, reference in _REFERENCES.items()} | {
    "text2sql_eval_toolkit": (
        """'jsonl' with columns.sql = '$.predictions."MODEL".predicted_sql'"""
    )
}
_NESTED_FORMATS: Final = ("jsonl", "parquet")
_JSON_PATH: Final = re.compile(r"""\$(\.("[^"]+"|[^."\[\]*]+)|\[\d+\])*""")
_ROWS_PATH: Final = re.compile(
    r"""\$(?=.)(\.("[^"]+"|[^."\[\]*]+)|\[(\d+|\*)\])*(\.\*(\[\*\])?)?"""
)


Cleaning = Literal["llm", "first", "none"]


class ColumnMapping(BaseModel):
    """The columns, keys or JSON paths of a dump in a generic format.

    In any other format, only ``slice`` can be set, to a field of the dump's rows or ``db_id``.

    Attributes:
        sql: The query; None in formats that know where it is.
        question: The question that the query answers.
        db_id: The database of the query.
        frequency: How often the query occurs.
        id: The id of the question. Answers are joined to the questions of their target by it.
        part: The source of the query in a training set that mixes several.
        slice: The group of the query in a target, such as its difficulty or its customer. Results
            are published for each slice, too.
        rows: The JSON path of a list in each object, with the rows as its items; or, with ``.*`` at
            its end, of an object with the rows as its values. A value missing in a row is read from
            the object around it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sql: str | None = None
    question: str | None = None
    db_id: str | None = None
    frequency: str | None = None
    id: str | None = None
    part: str | None = None
    slice: str | None = None
    rows: str | None = None

    @property
    def mapping(self) -> dict[str, str]:
        """The columns that are set, by role, without ``rows`` and ``slice``."""
        return self.model_dump(exclude_none=True, exclude={"rows", "slice"})

    @property
    def of_slices(self) -> Self | None:
        """The columns with that of slices as the part; None without slices.

        Slices are read apart from the queries, so that a change of ``slice`` alters no query.
        """
        if self.slice is None:
            return None
        return self.model_copy(update={"part": self.slice, "slice": None})

    @property
    def is_nested(self) -> bool:
        """Whether the rows are in a list of each object, or some column is a JSON path."""
        return self.rows is not None or any(v.startswith("$") for v in self.mapping.values())

    @model_validator(mode="after")
    def _check_paths(self) -> Self:
        for key, value in self.model_dump(exclude_none=True).items():
            known = _ROWS_PATH if key == "rows" else _JSON_PATH
            if not value or (value.startswith("$") and not known.fullmatch(value)):
                raise _mistake(
                    f"key 'columns.{key}': '{value}' is not a JSON path; try '$.meta.sql'"
                )
        if self.rows is not None and not self.rows.startswith("$"):
            raise _mistake(f"key 'columns.rows': '{self.rows}' is not a JSON path; try '$.data'")
        return self


class CorpusEntry(BaseModel):
    """One ``[[corpus]]`` of the corpora file.

    Attributes:
        name: The corpus's name, unique in its file.
        role: A training set, a target workload, or a model's predictions on a target.
        format: The layout of the dump: the name of a file in ``sql/dumps``, or ``auto``.
        dialect: The SQL dialect by sqlglot's name; ``auto`` takes the dump's own, or the one that
            parses most queries.
        url: The dump's address on an object store, if ``path`` is one.
        path: The absolute path of a file, a folder or a pattern of files. A relative path starts at
            the folder of the corpora file, and ``~`` is the home folder. For an address: the
            local copy, once it is fetched.
        target: For predictions: the corpus with the questions that they answer.
        model: For predictions: the model that made them.
        trained_on: For predictions of a tuned model: the corpus it was tuned on, listed or not.
        license: The dump's license.
        glob: The files to read if ``path`` is a folder.
        within: The folders that the dump's files must be in, after all links. By default, a folder
            that ``path`` names contains its files, and a file that it names may be anywhere.
        columns: For generic formats: the columns to read. For others: the field of slices.
        answers: For predictions: whether all answers to a question count, each of k answers as
            1/k, or the first only.
        which: For other roles: whether the first query of a list of accepted ones counts, or each,
            as 1/k.
        clean: ``llm`` takes a model's final answer out of each text: the last fenced block if there
            are several; ``first`` takes the first block; ``none`` takes the text unchanged. The
            default is ``llm`` for predictions and for answers in chats.
        statements: Which statement to take from a text with several; by default the text is
            rejected.
        kinds: The kinds of statements that are accepted.
        style: For training sets: whether the answers are ``sql`` alone or contain reasoning before
            it (``cot``), which structure does not see.
        keep_sql: Whether the warehouse keeps the texts of the queries; otherwise only templates.
        digest: The SHA-256 of the dump's content in an earlier run. The stage files of that run are
            reused, and the dump is not read.
        retired_at: When the dump was first found to be gone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=rf"^[A-Za-z0-9._-]{{1,{LONGEST_NAME}}}$")]
    role: Literal["train", "target", "predictions"]
    format: str
    dialect: str = AUTO
    url: str | None = None
    path: Path
    target: str | None = None
    model: str | None = None
    trained_on: str | None = None
    license: str | None = None
    glob: str | None = None
    within: tuple[Path, ...] = ()
    columns: ColumnMapping | None = None
    answers: Literal["all", "first"] | None = None
    which: Literal["first", "each"] | None = None
    clean: Cleaning | None = None
    statements: Statements = "reject"
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = KINDS
    style: Literal["sql", "cot"] | None = None
    keep_sql: bool = True
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    retired_at: AwareDatetime | None = None

    @property
    def cleaning(self) -> Cleaning:
        """How a model's answer is taken out of each text; the default if ``clean`` is not given."""
        if self.clean is not None:
            return self.clean
        is_answer = self.role == "predictions" or self.format in _ANSWER_FORMATS
        return "llm" if is_answer and self.format not in _SCRIPT_FORMATS else "none"

    @property
    def is_cleaned(self) -> bool:
        """Whether a model's answer is taken out of each text."""
        return self.cleaning != "none"

    @property
    def takes_each(self) -> bool:
        """Whether each query of a list counts, or the first only."""
        if self.role == "predictions":
            return self.answers != "first"
        return self.which == "each"

    @property
    def place(self) -> Path | str:
        """The address or path of the dump, for messages."""
        return self.url or self.path

    @model_validator(mode="before")
    @classmethod
    def _take_address(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if "url" in data:
            raise _mistake("unknown key 'url'; write the address in path")
        path = data.get("path")
        try:
            refuse_credentials(path if isinstance(path, str | Path) else "")
        except ConfigurationError as error:
            raise _mistake(f"key 'path': {error}") from None
        return {**data, "url": path} if isinstance(path, str) and is_address(path) else data

    @field_validator("format")
    @classmethod
    def _check_format(cls, value: str) -> str:
        value = ALIASES.get(value, value)
        if value != AUTO and value not in list_formats():
            known = sorted((AUTO, *ALIASES, *list_formats()))
            raise _mistake(f"unknown format '{value}'; {suggest(value, known, most=len(known))}")
        return value

    @field_validator("dialect")
    @classmethod
    def _check_dialect(cls, value: str) -> str:
        return value if value == AUTO else check_dialect(value)

    @field_validator("path")
    @classmethod
    def _make_absolute(cls, value: Path, info: ValidationInfo) -> Path:
        if info.data.get("url") is not None:
            return value
        folder: Path = (info.context or {}).get("folder", Path())
        path = folder / expand_home(value)
        # Resolve the folder only: in caches of data hubs, files link to ones without a suffix.
        return path.parent.resolve() / path.name

    @field_validator("within")
    @classmethod
    def _resolve_folders(cls, value: tuple[Path, ...], info: ValidationInfo) -> tuple[Path, ...]:
        folder: Path = (info.context or {}).get("folder", Path())
        return tuple(Path(os.path.realpath(folder / expand_home(one))) for one in value)

    @field_validator("glob")
    @classmethod
    def _check_glob(cls, value: str | None) -> str | None:
        if value is not None:
            pattern = PurePath(value)
            misplaced = any(
                part == ".." or ("**" in part and part != "**") for part in pattern.parts
            )
            if misplaced or not pattern.parts or pattern.is_absolute():
                raise _mistake(f"key 'glob': '{value}' is not a pattern below path; try '*.sql'")
        return value

    @model_validator(mode="after")
    def _check_keys_of_role(self) -> Self:
        for key in ("target", "model", "trained_on"):
            if self.role != "predictions" and getattr(self, key) is not None:
                raise _mistake(
                    f"key '{key}' is for predictions only; remove it, or set role = \"predictions\""
                )
            if self.role == "predictions" and key != "trained_on" and getattr(self, key) is None:
                raise _mistake(f"key '{key}' is missing; predictions need it")
        if self.role != "target" and self.columns is not None and self.columns.slice is not None:
            raise _mistake("key 'columns.slice' is for targets only; remove it")
        if self.role != "train" and self.style is not None:
            raise _mistake("key 'style' is for training sets only; remove it")
        if self.role == "predictions" and self.statements == "each":
            raise _mistake(
                "key 'statements': \"each\" cannot be used with predictions, which have one answer "
                'per question; try "first"'
            )
        return self

    @model_validator(mode="after")
    def _check_reading(self) -> Self:
        if self.role == "predictions" and self.format in _ANSWERS:
            raise _mistake(
                f"key 'format': '{self.format}' reads references, not a model's answers; "
                f"use {_ANSWERS[self.format]}"
            )
        if self.role != "predictions" and self.format in _REFERENCES:
            raise _mistake(
                f"key 'format': '{self.format}' reads a model's answers, not references; "
                f"use '{_REFERENCES[self.format]}'"
            )
        return self

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if self.answers is not None and self.role != "predictions":
            raise _mistake("key 'answers' is for predictions only; remove it, or use which")
        if self.which is not None and self.role == "predictions":
            raise _mistake("key 'which' cannot be used with predictions; use answers")
        if self.which == "each" and self.statements == "each":
            raise _mistake(
                'key \'which\': "each" cannot be combined with statements = "each"; remove one'
            )
        return self

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if is_generic(self.format):
            self._check_named_columns()
        elif self.columns is not None and (self.columns.mapping or self.columns.rows):
            generic = ", ".join(filter(is_generic, list_formats()))
            remedy = (
                "name the format" if self.format == AUTO else f"use one of the formats {generic}"
            )
            raise _mistake(
                f"key 'columns': only slice can be used with format '{self.format}'; "
                f"remove the others, or {remedy}"
            )
        return self

    def _check_named_columns(self) -> None:
        """Check the columns of a generic format."""
        if self.columns is None:
            raise _mistake(
                f"key 'columns' is missing; format '{self.format}' needs it, as in "
                'columns = { sql = "query" }'
            )
        if self.columns.sql is None:
            raise _mistake("key 'columns.sql' is missing; add it")
        columns = [self.columns, self.columns.of_slices]
        is_nested = any(one is not None and one.is_nested for one in columns)
        if is_nested and self.format not in _NESTED_FORMATS:
            raise _mistake(
                f"key 'columns': JSON paths do not go with format '{self.format}'; "
                f"name columns, or use one of the formats {', '.join(_NESTED_FORMATS)}"
            )


@cache
def list_formats() -> tuple[str, ...]:
    """Return the dump formats, each a file ``sql/dumps/<format>.sql``.

    Files ``<format>.<suffix>.sql`` read the same format from files with that suffix.
    """
    return tuple(name for name in list_sql("dumps") if "." not in name)


def check_dialect(dialect: str) -> str:
    """Return the dialect if sqlglot knows it.

    Raises:
        ValueError: The dialect is unknown; the message suggests known ones.
    """
    if dialect not in list_dialects():
        raise _mistake(f"unknown dialect '{dialect}'; {suggest_dialect(dialect)}")
    return dialect


def is_generic(format: str) -> bool:
    """Return whether the corpora file must name the columns of a format."""
    return format != AUTO and "sql_column" in declared_parameters(f"dumps/{format}")


def load_corpora(path: Path | str, within: Sequence[Path] = ()) -> list[CorpusEntry]:
    """Return the corpora that a TOML file lists, in its order.

    Args:
        path: The file.
        within: The folders that the file must be in; see ``open_regular``.

    Raises:
        ConfigurationError: The file cannot be read or is not valid. The message is one line with
            the file, the corpus, the key and a remedy.
    """
    refuse_credentials(path)
    path = expand_home(path)
    document = read_toml(path, within)
    listed = document.pop("corpus", None)
    for key in document:
        raise ConfigurationError(f"{path}: unknown key '{key}'; list corpora as [[corpus]] tables")
    if (
        not isinstance(listed, list)
        or not all(isinstance(raw, dict) for raw in listed)
        or not listed
    ):
        raise ConfigurationError(f"{path}: lists no corpus; add a [[corpus]] table for each")
    entries = [parse_entry(path, number, raw) for number, raw in enumerate(listed, start=1)]
    _check_names(path, entries)
    return entries


def read_toml(path: Path, within: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the content of a TOML file.

    Args:
        path: The file.
        within: The folders that it must be in; see ``open_regular``.

    Raises:
        ConfigurationError: The file cannot be read, or is not TOML.
    """
    try:
        with open_regular(path, within) as file:
            return tomllib.loads(file.read().decode("utf-8-sig"))
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); check the path"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start}); save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not valid TOML: {error}; correct that line"
    raise ConfigurationError(f"{path}: {problem}")


def parse_entry(path: Path, number: int, raw: dict[str, Any]) -> CorpusEntry:
    """Return the corpus that a table of a TOML file describes.

    Args:
        path: The file.
        number: The position of the table, for messages about a corpus without a name.
        raw: The keys of the table.

    Raises:
        ConfigurationError: A key is unknown or missing, or its value is not valid.
    """
    name = raw.get("name")
    corpus = f"corpus '{name}'" if isinstance(name, str) else f"corpus {number}"
    try:
        return CorpusEntry.model_validate(raw, context={"folder": path.parent})
    except ValidationError as error:
        # A misspelt key also counts as a missing one: report the misspelling.
        problem = _explain_error(min(error.errors(), key=lambda e: e["type"] != "extra_forbidden"))
        raise ConfigurationError(f"{path}: {corpus}: {problem}") from None


def format_corpora(entries: Sequence[CorpusEntry]) -> str:
    """Return the text of a corpora file with these corpora."""
    tables = [format_table(entry.model_dump(exclude_defaults=True)) for entry in entries]
    return "\n\n".join([*tables, ""])


def format_table(keys: Mapping[str, object]) -> str:
    """Return a ``[[corpus]]`` table with the keys whose values are not None."""
    lines = [f"{key} = {_format_value(value)}" for key, value in keys.items() if value is not None]
    return "\n".join(["[[corpus]]", *lines])


def _format_value(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{key} = {_format_value(v)}" for key, v in value.items() if v is not None]
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_format_value, value)) + "]"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    # Tables are also printed: control characters must not reach the terminal.
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text) + '"'


def _explain_error(error: ErrorDetails) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        remedy = f'add it, or {key} = "{AUTO}"' if key == "format" else "add it"
        return f"key '{key}' is missing; {remedy}"
    if error["type"] == "extra_forbidden":
        *parents, unknown = error["loc"]
        known = (ColumnMapping if parents else CorpusEntry).model_fields
        return f"unknown key '{key}'; {suggest(str(unknown), sorted(known))}"
    if error["type"] == _MISTAKE:
        return error["msg"]
    return f"key '{key}': {error['msg'][0].lower()}{error['msg'][1:]}"


def _check_names(path: Path, entries: list[CorpusEntry]) -> None:
    for name, count in Counter(entry.name for entry in entries).items():
        if count > 1:
            raise ConfigurationError(
                f"{path}: corpus '{name}': key 'name': {count} corpora have this name; "
                "give each a different one"
            )
    roles = {entry.name: entry.role for entry in entries}
    targets = [name for name, role in roles.items() if role == "target"]
    for entry in entries:
        if entry.target is None or entry.target in targets:
            continue
        role = roles.get(entry.target)
        problem = (
            f"'{entry.target}' has the role {role}" if role else f"'{entry.target}' is not listed"
        )
        remedy = suggest(entry.target, targets) if targets else "list a corpus with the role target"
        raise ConfigurationError(
            f"{path}: corpus '{entry.name}': key 'target': {problem}; {remedy}"
        )


def _mistake(text: str) -> PydanticCustomError:
    """Return an error for validators: Pydantic prefixes a plain ValueError, and keeps it alive."""
    return PydanticCustomError(_MISTAKE, "{text}", {"text": text})


def make_name(text: str) -> str:
    """Return a text as the name of a corpus, with a hyphen in place of other characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:LONGEST_NAME] or "corpus"
