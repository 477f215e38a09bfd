"""Rows as files that trainers load: prompts with schemas, and the queries as answers.

The layouts are those of TRL (``messages``, ``prompt-completion``), LLaMA-Factory (``alpaca``,
``sharegpt``, with ``dataset_info.json``), axolotl (``messages``), and verl (``verl``, as Parquet).
"""

import hashlib
import json
import math
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import polars as pl

from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError, find_disk_reason
from nl2sql_align.tasks.base.names import count_noun
from nl2sql_align.tasks.decisions.options import LEAST_WEIGHT, TrainingLayout
from nl2sql_align.tasks.results.database import quote_name
from nl2sql_align.tasks.warehouse.addresses import expand_home

_T = TypeVar("_T")

DEFAULT_PROMPT: Final = (
    "Write a {dialect} query that answers the question.{schema}{evidence}\n\n{question}"
)
"""The default prompt. Rows without a schema or evidence leave these out."""

_FIELDS: Final = ("question", "schema", "evidence", "dialect", "db_id")
# The keys of a dump's rows that may contain a schema as DDL; the first one that exists counts.
SCHEMA_KEYS: Final = ("sql_context", "context", "schema", "create_table_statement")
# The keys of a row that may contain the turns of a chat.
_TURN_KEYS: Final = ("messages", "conversations", "prompt", "chosen")
# A share held out that is more than half again as much as asked for, or as little, is told.
_MUCH_MORE: Final = 1.5
_SPLITS: Final = ("train", "validation")
_DIALECT_NAMES: Final = {
    "bigquery": "BigQuery",
    "clickhouse": "ClickHouse",
    "databricks": "Databricks SQL",
    "duckdb": "DuckDB",
    "mysql": "MySQL",
    "oracle": "Oracle",
    "postgres": "PostgreSQL",
    "redshift": "Redshift",
    "snowflake": "Snowflake",
    "sqlite": "SQLite",
    "trino": "Trino",
    "tsql": "T-SQL",
}


@dataclass(frozen=True)
class TrainingOptions:
    """How to write rows for a trainer.

    Attributes:
        layout: ``messages``, ``prompt-completion``, ``alpaca``, ``sharegpt``, or ``verl``.
        prompt: A file with the prompt, with the fields ``{question}``, ``{schema}``,
            ``{evidence}``, ``{dialect}`` and ``{db_id}``. Rows without a value for one of its
            fields are left out. By default, a prompt that rows without a schema or evidence fit,
            too.
        system: A file with the system prompt; by default, rows have no system prompt.
        schemas: A ``tables.json`` as published with Spider and BIRD, for rows that have no schema
            of their own.
        validation_share: The share of the rows to hold out for validation: whole databases, where
            they are known, of all sources together, else all rows with the same query.
    """

    layout: TrainingLayout
    prompt: Path | str | None = None
    system: Path | str | None = None
    schemas: Path | str | None = None
    validation_share: float = 0.0

    def check(self) -> None:
        """Raise ConfigurationError for a value that is out of range or unknown."""
        if self.layout not in list(TrainingLayout):
            raise ConfigurationError(
                f"layout: {str(self.layout)!r} is not one of {', '.join(TrainingLayout)}"
            )
        if not 0 <= self.validation_share < 1:
            raise ConfigurationError(
                f"validation share: {self.validation_share} is not between 0 and 1"
            )


@dataclass(frozen=True)
class TrainingFiles:
    """The files written for a trainer.

    Attributes:
        files: The paths of the rows by split (``train`` and perhaps ``validation``), or those of a
            mixture by corpus.
        n_rows: The number of rows of each file.
        left_out: The number of rows that are left out, by the reason.
        n_without_schema: The number of prompts without a schema.
        split_note: Why the rows held out are not the share that was asked for; may be empty.
        n_shortened: The number of rows from chats with a system prompt or earlier turns, which the
            files do not have.
    """

    files: dict[str, Path]
    n_rows: dict[str, int]
    left_out: dict[str, int]
    n_without_schema: int
    split_note: str = ""
    n_shortened: int = 0

    def moved_to(self, folder: Path) -> "TrainingFiles":
        """Return the same files in another folder."""
        return replace(self, files={name: folder / path.name for name, path in self.files.items()})

    def list_notes(self, are_dumps_current: bool = True) -> list[str]:
        """Return notes on rows that are left out, and on prompts without a schema, a line each.

        Args:
            are_dumps_current: Whether schemas that are missing were not in the dumps.
        """
        found = [
            f"{count_noun(n, 'row')} left out of the training files: {reason}"
            for reason, n in self.left_out.items()
        ]
        if self.split_note:
            found.append(self.split_note)
        if self.n_shortened:
            found.append(
                f"{count_noun(self.n_shortened, 'row')} of the training files had a system prompt "
                "or earlier turns in the dump, which may contain schemas: these are left out; "
                "--system FILE adds a system prompt"
            )
        if self.n_without_schema:
            remedy = "; --schemas tables.json adds those of Spider or BIRD"
            found.append(
                f"{self.n_without_schema:,} of {sum(self.n_rows.values()):,} prompts have no "
                f"schema{remedy if are_dumps_current else ''}"
            )
        return found


@dataclass(frozen=True)
class _Example:
    """A prompt and its answer, with the place they come from."""

    prompt: str
    sql: str
    source: str
    ordinal: int
    db_id: str | None


class _Inputs(NamedTuple):
    """The texts that the options name."""

    prompt: str | None
    system: str | None
    schemas: dict[str, str]


class _Examples(NamedTuple):
    """The examples of some rows, and what their prompts lack."""

    examples: list[_Example]
    left_out: Counter[str]
    n_without_schema: int
    n_shortened: int


def write_training_files(
    rows: pl.DataFrame, folder: Path, options: TrainingOptions, seed: int = 0
) -> TrainingFiles:
    """Write rows in the layout of a trainer.

    Args:
        rows: The rows of a selection, with the columns of ``selection.parquet``.
        folder: An empty folder to write to.
        options: How to write them.
        seed: The seed of the split.

    Raises:
        ConfigurationError: An option is wrong, or no row can be used.
        OSError: A file cannot be written.
    """
    options.check()
    inputs = _read_inputs(options)
    made = _make_examples(rows, inputs)
    splits = _split(made.examples, options.validation_share, seed)
    describe = partial(_describe_splits, options.layout)
    written = _write_files(made, splits, folder, options.layout, inputs.system, describe)
    return replace(written, split_note=_note_split(splits, options.validation_share))


def write_mixture_files(
    rows: pl.DataFrame, weights: Mapping[str, float], folder: Path, options: TrainingOptions
) -> TrainingFiles:
    """Write the rows of each corpus in the layout of a trainer, with the settings that mix them.

    Args:
        rows: The rows of the corpora, with the columns of ``selection.parquet``.
        weights: The share of rows to draw from each corpus.
        folder: An empty folder to write to.
        options: How to write them, without a share for validation.

    Raises:
        ConfigurationError: An option is wrong, or no row of a corpus can be used.
        OSError: A file cannot be written.
    """
    options.check()
    if options.validation_share:
        raise ConfigurationError("validation share: a mixture is not split; leave it out")
    probabilities = round_weights(weights)
    inputs = _read_inputs(options)
    made = {
        name: _make_examples(rows.filter(pl.col("source") == name), inputs, f" of '{name}'")
        for name in probabilities
    }
    joined = _Examples(
        [one for some in made.values() for one in some.examples],
        sum((some.left_out for some in made.values()), Counter()),
        sum(some.n_without_schema for some in made.values()),
        sum(some.n_shortened for some in made.values()),
    )
    parts = {name: some.examples for name, some in made.items()}
    describe = partial(_describe_mixture, options.layout, probabilities)
    return _write_files(joined, parts, folder, options.layout, inputs.system, describe, "train")


def round_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights that are worth mixing in, with four digits and a sum of 1.

    Samplers refuse probabilities with another sum, so that the sums of the first weights are
    rounded, not each weight.
    """
    large = {name: weight for name, weight in weights.items() if weight >= LEAST_WEIGHT}
    total = math.fsum(large.values())
    ends = [round(10_000 * end / total) for end in accumulate(large.values())]
    steps = zip(large, [0, *ends], ends, strict=False)
    return {name: (end - start) / 10_000 for name, start, end in steps}


@contextmanager
def explaining_write_errors(folder: Path) -> Iterator[None]:
    """Turn errors of writing to the folder into an AlignError that names the folder and reason."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = find_disk_reason(error) or getattr(error, "strerror", None) or error
        raise AlignError(f"{folder} cannot be written ({reason}); choose another --out") from None


def _read_inputs(options: TrainingOptions) -> _Inputs:
    """Read each file once: it may be a pipe."""
    prompt = _read_text(expand_home(options.prompt)) if options.prompt else None
    system = _read_text(expand_home(options.system)) if options.system else None
    schemas = read_schemas(expand_home(options.schemas)) if options.schemas else {}
    if prompt is not None:
        _check_fields(prompt)
    return _Inputs(prompt, system, schemas)


def _make_examples(rows: pl.DataFrame, inputs: _Inputs, place: str = "") -> _Examples:
    """Return the examples of rows; an error names them as rows of a place."""
    prompt, _, schemas = inputs
    examples: list[_Example] = []
    left_out: Counter[str] = Counter()
    n_without_schema = n_shortened = 0
    for row in rows.iter_rows(named=True):
        record = json.loads(row["record"]) if row["record"] else {}
        values = _list_values(row, record, schemas)
        missing = _find_missing(prompt, values)
        if missing:
            left_out[missing] += 1
            continue
        n_without_schema += prompt is None and not values["schema"]
        n_shortened += _has_more_turns(record)
        text = _fill_default(values) if prompt is None else prompt.format(**values)
        examples.append(_Example(text, row["sql"], row["source"], row["ordinal"], row["db_id"]))
    if not examples:
        reasons = "; ".join(left_out) or "the selection is empty"
        raise ConfigurationError(f"no row{place} can be written for a trainer: {reasons}")
    return _Examples(examples, left_out, n_without_schema, n_shortened)


def _write_files(
    made: _Examples,
    parts: Mapping[str, Sequence[_Example]],
    folder: Path,
    layout: TrainingLayout,
    system: str | None,
    describe: Callable[[TrainingFiles], str],
    split: str | None = None,
) -> TrainingFiles:
    """Write a file of rows for each part, the settings, and a page that says how to load them.

    The split that rows name is that of all parts, if it is given, else the name of their part.
    """
    suffix = ".parquet" if layout == TrainingLayout.VERL else ".jsonl"
    files, n_rows = {}, {}
    for name, chosen in parts.items():
        if chosen:
            rows = [
                _format_example(one, layout, system, split or name, i)
                for i, one in enumerate(chosen)
            ]
            files[name] = _write_rows(rows, folder / f"{name}{suffix}")
            n_rows[name] = len(rows)
    _write_settings(files, folder, layout, system is not None)
    written = TrainingFiles(
        files,
        n_rows,
        dict(made.left_out),
        made.n_without_schema,
        n_shortened=made.n_shortened,
    )
    (folder / "training.md").write_text(describe(written), encoding="utf-8")
    return written


def read_schemas(path: Path) -> dict[str, str]:
    """Return the schema of each database of a ``tables.json`` as DDL; see ``read_databases``."""
    return read_databases(path, _render_ddl)


def read_databases(path: Path, describe: Callable[[Mapping[str, Any]], _T]) -> dict[str, _T]:
    """Return each database of a ``tables.json`` by its name, in the form that a function returns.

    Args:
        path: The file, as published with Spider and BIRD.
        describe: Describes a database from its object in the file.

    Raises:
        ConfigurationError: The file cannot be read, or has another layout.
    """
    try:
        databases = json.loads(path.read_text(encoding="utf-8"))
        return {database["db_id"]: describe(database) for database in databases}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error}); check --schemas") from None
    except (KeyError, TypeError, IndexError, AttributeError):
        raise ConfigurationError(
            f"{path}: does not have the layout of Spider's tables.json; check --schemas"
        ) from None


def _render_ddl(database: Mapping[str, Any]) -> str:
    columns = database["column_names_original"]
    tables = database["table_names_original"]
    keys = {key for one in database["primary_keys"] for key in _as_list(one)}
    statements = []
    for table, name in enumerate(tables):
        own = [index for index, (of_table, _) in enumerate(columns) if of_table == table]
        lines = [
            f"{_quote(columns[index][1])} {database['column_types'][index]}"
            + (" primary key" if index in keys and len(keys.intersection(own)) == 1 else "")
            for index in own
        ]
        own_keys = [index for index in own if index in keys]
        if len(own_keys) > 1:
            lines.append(f"primary key ({', '.join(_quote(columns[i][1]) for i in own_keys)})")
        lines += [
            f"foreign key ({_quote(columns[one][1])}) references "
            f"{_quote(tables[columns[other][0]])} ({_quote(columns[other][1])})"
            for one, other in database["foreign_keys"]
            if one in own
        ]
        statements.append(f"CREATE TABLE {_quote(name)} (\n  " + ",\n  ".join(lines) + "\n);")
    return "\n".join(statements)


def _as_list(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value]


def _quote(name: str) -> str:
    if name.isascii() and name.isidentifier():
        return name
    return quote_name(name)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read ({error}); check its path") from None


def _check_fields(prompt: str) -> None:
    try:
        parsed = [one for one in string.Formatter().parse(prompt) if one[1] is not None]
    except ValueError as error:
        raise ConfigurationError(
            f"the prompt is not valid ({error}); write {{{{ and }}}} for braces"
        ) from None
    for _, field, form, conversion in parsed:
        if form or conversion:
            raise ConfigurationError(
                f"the prompt gives its field {field} a form (after : or !); write {{{field}}} alone"
            )
    used = {str(field) for _, field, _, _ in parsed}
    unknown = sorted(used - {*_FIELDS})
    if unknown:
        raise ConfigurationError(
            f"the prompt has unknown fields: {', '.join(unknown)}; there are: "
            f"{', '.join(_FIELDS)}; write {{{{ and }}}} for braces"
        )
    if "question" not in used:
        raise ConfigurationError("the prompt has no {question}")


def _list_values(
    row: Mapping[str, Any], record: Mapping[str, Any], schemas: Mapping[str, str]
) -> dict[str, str]:
    own = next((record[key] for key in SCHEMA_KEYS if _is_text(record.get(key))), "")
    return {
        "question": row["question"] or "",
        "schema": own or schemas.get(row["db_id"] or "", ""),
        "evidence": record["evidence"] if _is_text(record.get("evidence")) else "",
        "dialect": _DIALECT_NAMES.get(row["dialect"], row["dialect"]),
        "db_id": row["db_id"] or "",
    }


def _has_more_turns(record: Mapping[str, Any]) -> bool:
    """Return whether a row has a system prompt, or more turns than a question and its answer."""
    if _is_text(record.get("system")) or record.get("history"):
        return True
    turns = [
        turn for key in _TURN_KEYS if isinstance(record.get(key), list) for turn in record[key]
    ]
    roles = Counter(
        str(turn.get("role") or turn.get("from")).lower()
        for turn in turns
        if isinstance(turn, dict)
    )
    return roles["system"] + roles["developer"] > 0 or roles["user"] + roles["human"] > 1


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _find_missing(prompt: str | None, values: Mapping[str, str]) -> str:
    """Return why a row cannot be used, or an empty text."""
    if not values["question"].strip():
        return "they have no question"
    if prompt is None:
        return ""
    used = {field for _, field, _, _ in string.Formatter().parse(prompt) if field}
    missing = [name for name in _FIELDS if name in used and not values[name].strip()]
    return f"they have no {missing[0]}, which the prompt needs" if missing else ""


def _fill_default(values: Mapping[str, str]) -> str:
    sections = {
        name: f"\n\n{values[name].strip()}" if values[name] else ""
        for name in ("schema", "evidence")
    }
    return DEFAULT_PROMPT.format(**{**values, **sections})


def _split(examples: Sequence[_Example], share: float, seed: int) -> dict[str, list[_Example]]:
    """Hold out about a share of the rows: whole databases, in the order of a digest.

    Sources may have databases in common, and rows without a database may have queries in common:
    these stay together. What does not fit is skipped. If all is too large, the smallest is held
    out.
    """
    sizes = Counter(map(_unit_of, examples))
    order = sorted(sizes, key=lambda unit: hashlib.sha256(f"{seed}\0{unit}".encode()).digest())
    held_out: set[str] = set()
    n_left = round(share * len(examples))
    for unit in order:
        if sizes[unit] <= n_left:
            held_out.add(unit)
            n_left -= sizes[unit]
    if share and not held_out and len(sizes) > 1:
        held_out.add(min(order, key=sizes.__getitem__))
    splits: dict[str, list[_Example]] = {name: [] for name in _SPLITS}
    for one in examples:
        splits["validation" if _unit_of(one) in held_out else "train"].append(one)
    return splits


def _note_split(splits: Mapping[str, Sequence[_Example]], share: float) -> str:
    """Return why much more, much less, or nothing is held out, if so; else an empty text."""
    held_out = splits["validation"]
    n_rows = len(held_out) + len(splits["train"])
    has_databases = any(one.db_id for some in splits.values() for one in some)
    rule = "databases are held out whole" if has_databases else "rows of one query stay together"
    if share and not held_out:
        unit = "database" if has_databases else "query"
        return f"nothing is held out for validation: all rows are of one {unit}, and {rule}"
    asked = f"{len(held_out):,} of {n_rows:,} rows are held out for validation, not {share:.3g} of "
    n_units = len(set(map(_unit_of, held_out)))
    if len(held_out) > max(_MUCH_MORE * share * n_rows, n_units):
        return f"{asked}them: {rule}, and nothing smaller is left"
    if len(held_out) * _MUCH_MORE < share * n_rows - 1:
        return f"{asked}them: {rule}, and nothing else fits"
    return ""


def _unit_of(example: _Example) -> str:
    """Return the name of the rows that stay together: those of a database, or else of a query."""
    return f"database {example.db_id}" if example.db_id else f"query {example.sql}"


def _format_example(
    example: _Example, layout: TrainingLayout, system: str | None, split: str, index: int
) -> dict[str, Any]:
    asked = [{"role": "system", "content": system}] if system else []
    asked.append({"role": "user", "content": example.prompt})
    if layout == TrainingLayout.MESSAGES:
        return {"messages": [*asked, {"role": "assistant", "content": example.sql}]}
    if layout == TrainingLayout.PROMPT_COMPLETION:
        answer = [{"role": "assistant", "content": example.sql}]
        return {"prompt": asked, "completion": answer}
    if layout == TrainingLayout.ALPACA:
        row = {"instruction": example.prompt, "input": "", "output": example.sql}
        return {**row, "system": system} if system else row
    if layout == TrainingLayout.SHAREGPT:
        turns = [{"from": "human", "value": example.prompt}, {"from": "gpt", "value": example.sql}]
        return {"conversations": turns, "system": system} if system else {"conversations": turns}
    return {
        "data_source": example.source,
        "prompt": asked,
        "ability": "text-to-sql",
        "reward_model": {"style": "rule", "ground_truth": example.sql},
        "extra_info": {"split": split, "index": index, "db_id": example.db_id},
    }


def _write_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> Path:
    if path.suffix == ".parquet":
        pl.DataFrame(list(rows), schema_overrides=_VERL_TYPES).write_parquet(path)
    else:
        with path.open("w", encoding="utf-8") as lines:
            for row in rows:
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def _write_settings(
    files: Mapping[str, Path], folder: Path, layout: TrainingLayout, has_system: bool
) -> None:
    """Write ``dataset_info.json`` for LLaMA-Factory, for the layouts that it reads."""
    keys = _LLAMA_FACTORY.get(layout)
    if keys is None:
        return
    if has_system and layout in _SYSTEM_COLUMN:
        keys = {**keys, "columns": {**keys["columns"], "system": "system"}}
    info = {f"nl2sql_{name}": {"file_name": file.name, **keys} for name, file in files.items()}
    text = json.dumps(info, indent=2) + "\n"
    (folder / "dataset_info.json").write_text(text, encoding="utf-8")


def _describe_splits(layout: TrainingLayout, written: TrainingFiles) -> str:
    """Return a page that shows how trainers load the splits of a selection."""
    files = written.files
    named = ", ".join(f'"{name}": "{path.name}"' for name, path in files.items())
    return _describe_loading(
        layout,
        "from datasets import load_dataset\n\n"
        f'data = load_dataset("{_KINDS[layout]}", data_files={{{named}}})',
        {
            "dataset": "nl2sql_train",
            **({"eval_dataset": "nl2sql_validation"} if "validation" in files else {}),
        },
        {
            "data.train_files" if name == "train" else "data.val_files": path.name
            for name, path in files.items()
        },
    )


def _describe_mixture(
    layout: TrainingLayout, probabilities: Mapping[str, float], written: TrainingFiles
) -> str:
    """Return a page that shows how trainers mix the files of the corpora."""
    mixture = "".join(
        f'    "{path.name}": {probabilities[name]},\n' for name, path in written.files.items()
    )
    n_rows = min(n / probabilities[name] for name, n in written.n_rows.items())
    listed = ",".join(str(probabilities[name]) for name in written.files)
    kind = _KINDS[layout]
    file = "mixture.parquet" if kind == "parquet" else "mixture.jsonl"
    return _describe_loading(
        layout,
        "from datasets import interleave_datasets, load_dataset\n\n"
        f"mixture = {{\n{mixture}}}\n"
        f'parts = [load_dataset("{kind}", data_files=file, split="train") for file in mixture]\n'
        "data = interleave_datasets(parts, probabilities=list(mixture.values()), seed=0)",
        {
            "dataset": ",".join(f"nl2sql_{name}" for name in written.files),
            "mix_strategy": "interleave_under",
            "interleave_probs": f'"{listed}"',
        },
        {"data.train_files": file},
        f"The mixture ends when a corpus has no rows left, after about {n_rows:,.0f} rows. To "
        'repeat rows until each corpus has been read, add `stopping_strategy="all_exhausted"`'
        + ("; in LLaMA-Factory, set `interleave_over`." if layout in _LLAMA_FACTORY else "."),
        f', which has no probabilities, after `data.to_{kind}("{file}")`',
    )


def _describe_loading(
    layout: TrainingLayout,
    code: str,
    llama_factory: Mapping[str, str],
    files: Mapping[str, str],
    remark: str = "",
    preparation: str = "",
) -> str:
    """Return a page that shows how trainers load the files.

    Args:
        layout: The layout of the rows.
        code: Python code that loads them with Hugging Face datasets.
        llama_factory: Settings of LLaMA-Factory.
        files: verl's settings with the files; axolotl reads the first one.
        remark: A remark about the mixture.
        preparation: What to do first for trainers that do not mix.
    """
    parts = [
        "# Training files\n\nThe paths are relative to this folder.",
        f"With Hugging Face datasets, and so with TRL's `SFTTrainer`:\n\n```python\n{code}\n```",
    ]
    if layout in _LLAMA_FACTORY:
        settings = "".join(f"{key}: {value}\n" for key, value in llama_factory.items())
        parts.append(
            "With LLaMA-Factory, which reads `dataset_info.json`:\n\n"
            f"```yaml\ndataset_dir: .\n{settings}```"
        )
    if remark:
        parts.append(remark)
    if layout in _AXOLOTL:
        parts.append(
            f"With axolotl{preparation}:\n\n```yaml\ndatasets:\n"
            f"  - path: {files['data.train_files']}\n    ds_type: json\n{_AXOLOTL[layout]}```"
        )
    if layout == TrainingLayout.VERL:
        listed = " ".join(f"{key}={file}" for key, file in files.items())
        parts.append(
            f"With verl{preparation}:\n\n"
            f"```console\n$ python -m verl.trainer.main_ppo {listed}\n```"
        )
    return "\n\n".join(parts) + "\n"


_KINDS: Final = {
    layout: "parquet" if layout == TrainingLayout.VERL else "json" for layout in TrainingLayout
}
_VERL_TYPES: Final = {
    # Of each file, also if no row has a database: files are mixed only if their types are equal.
    "extra_info": pl.Struct({"split": pl.String, "index": pl.Int64, "db_id": pl.String})
}
_SYSTEM_COLUMN: Final = frozenset({TrainingLayout.ALPACA, TrainingLayout.SHAREGPT})
_AXOLOTL: Final[dict[TrainingLayout, str]] = {
    TrainingLayout.MESSAGES: "    type: chat_template\n    field_messages: messages\n",
    TrainingLayout.SHAREGPT: "    type: chat_template\n    field_messages: conversations\n"
    "    message_property_mappings:\n      role: from\n      content: value\n",
    TrainingLayout.ALPACA: "    type: alpaca\n",
}
_LLAMA_FACTORY: Final[dict[TrainingLayout, dict[str, Any]]] = {
    TrainingLayout.ALPACA: {
        "formatting": "alpaca",
        "columns": {"prompt": "instruction", "query": "input", "response": "output"},
    },
    TrainingLayout.SHAREGPT: {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations"},
    },
    TrainingLayout.MESSAGES: {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    },
}
