"""Recognition of a dump's format from its first rows, for ``format = "auto"`` and ``inspect``."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.child_process import ChildDiedError, call_in_child
from nl2sql_align.tasks.base.errors import CorpusError, find_disk_reason, full_disk_error
from nl2sql_align.tasks.base.run_sql import list_sql, load_sql
from nl2sql_align.tasks.ingest.answers import clean_answer
from nl2sql_align.tasks.ingest.archives import (
    ARROW,
    Source,
    convert_if_needed,
    guess_start_encoding,
    open_source,
    stage_files,
)
from nl2sql_align.tasks.ingest.column_choice import (
    Choice,
    Texts,
    UnclearError,
    choose_texts,
    describe_others,
    find_others,
    format_path,
    get_items,
    list_plain_values,
    list_texts,
    unclear_answers_error,
)
from nl2sql_align.tasks.ingest.column_names import ANSWERS, KeyPath, Meaning, find_meaning
from nl2sql_align.tasks.ingest.corpora_file import AUTO, ColumnMapping, CorpusEntry
from nl2sql_align.tasks.ingest.delimited import (
    MAX_ROW_CHARACTERS,
    choose_preferred,
    find_separator,
    read_rows,
    skip_lines_above,
)
from nl2sql_align.tasks.ingest.dumps import (
    DATA_SUFFIXES,
    SCHEMAS,
    describe_death,
    find_bounds,
    find_compiled,
    find_view,
    list_sources,
    no_query_error,
    outside_error,
    shorten_names,
)
from nl2sql_align.tasks.ingest.first_rows import has_json_row, parse_json_rows
from nl2sql_align.tasks.ingest.json_layout import Layout, find_layout
from nl2sql_align.tasks.ingest.sql_signs import looks_like_sql
from nl2sql_align.tasks.ingest.statements import (
    COMMENT,
    Scan,
    choose_statements,
    classify_statement,
    find_first_word,
    has_statement,
    split_statements,
)
from nl2sql_align.tasks.ingest.yaml_documents import YAML
from nl2sql_align.tasks.warehouse.regular_files import OutsideError, check_file, find_files

_PEEKED_BYTES: Final = 1 << 18
# If the first row is longer, more is read; the most, if nothing is recognized, either.
_READ_BYTES: Final = (_PEEKED_BYTES, 1 << 21, MAX_ROW_CHARACTERS + (1 << 21))
_PEEKED_ROWS: Final = 50
_PEEKED_FILES: Final = 200
_PEEKED_SCRIPTS: Final = 20
_MOST: Final = 0.8
_FEW: Final = 0.1
# Lines with a query each may have this share of queries that were cut off.
_BROKEN: Final = 0.01
_LABEL: Final = re.compile(r"\s{0,9}(?:[A-Za-z]\w{0,20} ?){1,3}\d{0,9} ?:(?=\s)")

Role = Literal["train", "target", "predictions"]
Rows = list[Any]


def _fits_always(_rows: Rows) -> bool:
    return True


def _has_requests(rows: Rows) -> bool:
    """Return whether the rows are requests of vLLM, with the texts of their outputs."""
    outputs = [output for row in rows for output in _get_items(row, "outputs")]
    return any(isinstance(output, dict) and "text" in output for output in outputs)


def _has_turns(rows: Rows) -> bool:
    turns = [one for row in rows for key in _CHATS for one in _get_items(row, key)]
    return any(isinstance(one, dict) and {"role", "from"} & one.keys() for one in turns)


def _has_queries_in_lists(rows: Rows) -> bool:
    return any(isinstance(query, str) for row in rows for query in _get_items(row, "sql"))


def _has_true_queries(rows: Rows) -> bool:
    """Return whether the truths of verl's rewards are SQL, and not the result of a query."""
    rewards = [row.get(key) for row in rows for key in ("reward_model", "reward_spec")]
    truths = [reward.get("ground_truth") for reward in rewards if isinstance(reward, dict)]
    firsts = [truth[0] if isinstance(truth, list) and truth else truth for truth in truths]
    texts = [truth for truth in firsts if isinstance(truth, str)]
    return any(looks_like_sql(text) or text.lstrip().startswith("{") for text in texts) or any(
        isinstance(truth, dict) and {"sql", "query"} & truth.keys() for truth in firsts
    )


def _has_no_other_query(rows: Rows) -> bool:
    """Return whether no column beside a prompt and its completion is named as a query."""
    named = {name for row in rows for name in row} - _TRAINING_KEYS
    return not {find_meaning((name,)) for name in named} & _QUERIES


def _has_no_other_answer(rows: Rows) -> bool:
    """Return whether no key but the completion names a query or an answer."""
    named = {name for row in rows for name in row} - {"completion"}
    return not {find_meaning((name,)) for name in named} & (_QUERIES | ANSWERS)


def _get_items(row: dict[str, Any], key: str) -> list[Any]:
    items = row.get(key)
    return items if isinstance(items, list) else []


_CHATS: Final = ("messages", "conversations")
_TRAINING_KEYS: Final = frozenset({"chosen", "completion", "label", "rejected", "response"})
_QUERIES: Final = frozenset({Meaning.REFERENCE, Meaning.QUERY, Meaning.PREDICTION})


def _is_manifest(rows: Rows) -> bool:
    """Return whether an artifact of dbt is a manifest; other artifacts have such metadata too."""
    return "/manifest/" in str(_get_value(rows[0], ["metadata", "dbt_schema_version"]))


def _has_values(key: str, words: str) -> Callable[[Rows], bool]:
    """Return a condition: a key, in either case, has one of these values and never another."""
    allowed = frozenset(words.split())

    def has_values(rows: Rows) -> bool:
        values = {str(_get_value(row, [key]) or "").strip() for row in rows} - {""}
        return bool(values) and values <= allowed

    return has_values


class _Signature(NamedTuple):
    """The signs of one format in the first rows of a dump.

    Attributes:
        format: The format's name.
        keys: The keys or columns of its rows, with commas between them. Those in lower case are
            compared in lower case, because databases export names in either. ``a.b`` is key ``b``
            of the object at ``a``.
        sql: The key whose texts must be SQL, because other data has such keys too; ``a.b`` as in
            ``keys``. It also names the text that the format reads.
        holds_answers: Whether the format reads a model's answers. Any other format is not taken for
            predictions if a key names an answer.
        roles: The roles of corpora that are read in this format.
        fits: A further condition on the first rows.
        page: The key of a list of such rows in the pages of an API, which the format reads too.
    """

    format: str
    keys: str
    sql: str = ""
    holds_answers: bool = False
    roles: tuple[Role, ...] = ("train", "target", "predictions")
    fits: Callable[[Rows], bool] = _fits_always
    page: str = ""


_DATA_SET: Final[tuple[Role, ...]] = ("train", "target")
_MODEL: Final[tuple[Role, ...]] = ("predictions",)

_CLICKHOUSE_TYPES: Final = "QueryStart QueryFinish ExceptionBeforeStart ExceptionWhileProcessing"
_REDSHIFT_STATES: Final = "planning queued running returning failed canceled success"
_DATABRICKS_STATES: Final = "QUEUED STARTED COMPILING COMPILED RUNNING FINISHED FAILED CANCELED"
_TRINO_STATES: Final = (
    "QUEUED WAITING_FOR_RESOURCES DISPATCHING PLANNING STARTING RUNNING FINISHING FINISHED FAILED"
)
# The most specific signatures come first.
_SIGNATURES: Final = (
    _Signature("fingerprint", "template, n_rows, n_occurrences, left_out", roles=_DATA_SET),
    _Signature("openai_batch", "custom_id, response.body", holds_answers=True),
    _Signature("openai_batch", "custom_id, response, error", holds_answers=True),
    _Signature("openai_batch", "object, choices", holds_answers=True),
    _Signature("openai_batch", "object, output, status", holds_answers=True),
    _Signature("anthropic_batch", "custom_id, result.type", holds_answers=True),
    _Signature("anthropic_batch", "content, role, stop_reason", holds_answers=True),
    _Signature("anthropic_batch", "recordid, modeloutput.content", holds_answers=True),
    _Signature("gemini_batch", "response.candidates", holds_answers=True),
    # The list of texts comes late in the file.
    _Signature("vllm", "input_lens, output_lens", holds_answers=True),
    _Signature("vllm", "outputs, prompt", holds_answers=True, fits=_has_requests),
    _Signature("bird_critic_predictions", "instance_id, pred_sqls", "", True, _MODEL),
    _Signature("bird_critic_predictions", "sol_sql, pred_sqls", "", True, _MODEL),
    _Signature("bird_critic", "instance_id, sol_sql", roles=_DATA_SET),
    _Signature("bird_critic", "query, sol_sql", roles=_DATA_SET),
    _Signature("omnisql_predictions", "input_seq, pred_sqls", "", True, _MODEL),
    _Signature("omnisql_predictions", "pred_sqls, responses", "", True, _MODEL),
    _Signature("omnisql_sft", "input_seq, output_seq", roles=_DATA_SET),
    _Signature("lm_eval", "doc_id, resps", "", True, _MODEL),
    _Signature("lm_eval", "doc_id, filtered_resps", "", True, _MODEL),
    _Signature("lm_eval_gold", "doc_id, resps, target", roles=_DATA_SET),
    _Signature("lm_eval_gold", "doc_id, filtered_resps, target", roles=_DATA_SET),
    _Signature("llama_factory", "predict, label", "", True, _MODEL),
    _Signature("llama_factory_gold", "predict, label", roles=_DATA_SET),
    _Signature("verl_predictions", "prompt, reward_model, responses", "", True, _MODEL),
    _Signature(
        "verl", "prompt, reward_model.ground_truth", "", False, _DATA_SET, _has_true_queries
    ),
    _Signature("verl", "prompt, reward_spec.ground_truth", "", False, _DATA_SET, _has_true_queries),
    _Signature("verl", "prompt, response", roles=_DATA_SET, fits=_has_no_other_query),
    _Signature("trl", "prompt, completion", roles=_DATA_SET, fits=_has_no_other_query),
    _Signature("trl", "prompt, completion", "", True, _MODEL, _has_no_other_answer),
    _Signature("trl", "chosen, rejected", roles=_DATA_SET, fits=_has_no_other_query),
    _Signature("text2sql_eval_toolkit", "sql, db_id", roles=_DATA_SET, fits=_has_queries_in_lists),
    _Signature("bird", "SQL, db_id", sql="SQL"),
    _Signature("din_sql", "PREDICTED SQL", "PREDICTED SQL", True, _MODEL),
    _Signature("snowflake_semantic_model", "verified_queries"),
    _Signature("dbt_manifest", "metadata.dbt_schema_version", fits=_is_manifest),
    _Signature("genie", "serialized_space"),
    _Signature("genie", "instructions.example_question_sqls"),
    _Signature("metabase", "dataset_query", page="data"),
    _Signature("redash", "query, data_source_id", page="results"),
    _Signature("redash", "query, is_archived", page="results"),
    _Signature("superset", "sql, label, schema", page="result"),
    _Signature("superset", "sql, database_uuid"),
    _Signature("superset", "slice_name, viz_type"),
    _Signature("sparc", "interaction, database_id"),
    _Signature("text2sql_data", "sentences, sql"),
    _Signature("chat", "messages", fits=_has_turns),
    _Signature("chat", "conversations", fits=_has_turns),
    _Signature("sql_eval", "query, query_category, db_name", sql="query"),
    _Signature("pg_stat_statements", "query, calls"),
    _Signature("pg_jsonlog", "error_severity, message"),
    _Signature("bigquery_jobs", "query, job_type"),
    _Signature("bigquery_jobs", "query, statement_type"),
    _Signature("bigquery_jobs", "query, job_id"),
    _Signature("bigquery_jobs", "query, error_result"),
    _Signature("clickhouse_query_log", "query, type", fits=_has_values("type", _CLICKHOUSE_TYPES)),
    _Signature("clickhouse_query_log", "query, type, query_duration_ms"),
    # Parquet and some clients write the types as numbers.
    _Signature(
        "clickhouse_query_log", "query, type, exception", fits=_has_values("type", "1 2 3 4")
    ),
    _Signature(
        "clickhouse_query_log", "query, type, query_kind", fits=_has_values("type", "1 2 3 4")
    ),
    _Signature("clickhouse_query_log", "query, is_initial_query"),
    _Signature("redshift_text", "query, sequence, text"),
    _Signature("redshift_text", "query_id, sequence, text"),
    _Signature("redshift_text", "xid, sequence, text"),
    _Signature("redshift_history", "querytxt"),
    _Signature(
        "redshift_history", "query_text, status", fits=_has_values("status", _REDSHIFT_STATES)
    ),
    _Signature("redshift_history", "query_text, generic_query_hash"),
    _Signature("redshift_history", "query_text, query_label"),
    _Signature("databricks_history", "statement_text, execution_status"),
    _Signature("databricks_history", "statement_text, statement_id"),
    _Signature(
        "databricks_history", "query_text, status", fits=_has_values("status", _DATABRICKS_STATES)
    ),
    # Other systems export this name in lower case.
    _Signature("snowflake_history", "QUERY_TEXT"),
    _Signature("snowflake_history", "query_text, execution_status"),
    _Signature("snowflake_history", "query_text, warehouse_name"),
    _Signature("snowflake_history", "query_text, query_type"),
    _Signature("snowflake_history", "query_text, role_name"),
    _Signature("sqlserver_query_store", "query_sql_text"),
    _Signature("sqlserver_query_store", "statement_text, execution_count"),
    _Signature("sqlserver_query_store", "text, execution_count"),
    _Signature("oracle_sqltext", "sql_text, piece"),
    _Signature("oracle_sql", "sql_fulltext"),
    _Signature("oracle_sql", "sql_text, sql_id"),
    _Signature("oracle_sql", "sql_text, executions"),
    _Signature("mysql_digests", "digest_text"),
    _Signature("athena_history", "query, status.state"),
    _Signature("athena_history", "query, queryexecutionid"),
    _Signature("trino_history", "metadata.query, metadata.querystate"),
    _Signature("trino_history", "query, query_state"),
    _Signature("trino_history", "query, state", fits=_has_values("state", _TRINO_STATES)),
    _Signature("ehrsql", "query, db_id, para_type", sql="query"),
    _Signature("ehrsql", "query, db_id, department", sql="query"),
    _Signature("spider", "query, db_id", sql="query"),
    _Signature("bull", "sql_query, db_name", sql="sql_query"),
    _Signature("mimicsql", "sql, question_refine", sql="sql"),
    _Signature("sqale", "schema_id, sql", sql="sql"),
    _Signature("gretel", "sql, sql_prompt", sql="sql"),
    _Signature("synsql", "sql, sql_complexity", sql="sql"),
    _Signature("sql_create_context", "answer, context, question", sql="answer"),
    _Signature("sede", "querybody"),
    _Signature("nstext2sql", "instruction, output, source", sql="output"),
    _Signature("alpaca", "instruction, output", sql="output"),
)
ANSWER_FORMATS: Final = frozenset(
    {"bird_predictions"}.union(one.format for one in _SIGNATURES if one.holds_answers)
).difference(one.format for one in _SIGNATURES if not one.holds_answers)
"""The formats that only a model's answers have."""
_NAMES: Final = {
    "question": "question nl_question question_text natural_language_question utterance nlq nl "
    "user_question user_input prompt sql_prompt instruction input query text".split(),
    "db_id": "db_id database db_name database_name database_id db datname schema_id".split(),
    "frequency": "calls frequency n_occurrences executions count_executions execution_count "
    "occurrences count".split(),
    # Batch services add an id of their own to each answer, so that "id" comes after other ids.
    "id": "custom_id recordid question_id instance_id doc_id sample_id task_id id index "
    "idx".split(),
}
ROW_NUMBERS: Final = frozenset({"index", "idx"})
"""The names of ids that may be numbers of rows; they are ids only if they are integers."""
# The fields that may be anywhere in a row; an id or a count further in may be of something else.
_FAR_ROLES: Final = frozenset({"question", "db_id"})
_N_FAR_NAMES: Final = 6
_NESTED_KINDS: Final = frozenset({"jsonl", "parquet"})
_CLEAN_REASON: Final = 'cleaned (clean = "llm"), because some texts are not SQL alone'
_LOG_LINE: Final = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,\d]* [\w+:-]+,("?)\w*\1,')
_GOLD_LINE: Final = re.compile(r"\t[ \t]*[\w.-]+[ \t]*\Z")
_CONTINUING_WORDS: Final = frozenset(
    "WHERE GROUP ORDER HAVING LIMIT JOIN LEFT RIGHT INNER OUTER CROSS FULL ON AND OR UNION EXCEPT "
    "INTERSECT SET WHEN ELSE END".split()
)
# Scripts start with such words, too.
_SCRIPT_WORDS: Final = frozenset(
    "SET USE DECLARE BEGIN GO PRAGMA EXPLAIN EXEC EXECUTE GRANT START ATTACH CALL".split()
)
# A text log of PostgreSQL: one of its statements, or its first line.
_PG_LOG: Final = re.compile(
    r"^(?!\t)[^\n]{0,400}?\bLOG:  (?:duration: [\d.]+ ms  )?(?:statement|execute [^\n:]*): "
    r"|\A[^\n]{0,400}?\b(?:LOG|ERROR|FATAL|WARNING):  \w",
    re.MULTILINE,
)
_ROW_NUMBER: Final = re.compile(r"\d+(\.0+)?")
_FIRST_KEY: Final = re.compile(r'\$\.(?:"([^"]+)"|([^."\[*]+))')
_CLOSED: Final = re.compile(rf";(?:[\s;]++|{COMMENT})*+\Z")
# A change may follow the common tables of a query, and is in the body of a trigger.
_BEFORE_CHANGES: Final = frozenset({"CREATE", "WITH"})
_SQL_WORD: Final = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE)\b", re.IGNORECASE)
_JINJA: Final = re.compile(r"(?:\s*(?:\{\{.*?\}\}|\{%.*?%\}|\{\#.*?\#\}))+", re.DOTALL)
# The keys of JSON objects around the rows of a query log.
_WRAPPERS: Final = ("queryexecutions", "queryexecution", "res", "data", "results", "rows")
_SLOW_LOG: Final = re.compile(r"^# Query_time: ", re.MULTILINE)


@dataclass(frozen=True)
class Recognition:
    """The recognized format of a dump.

    Attributes:
        format: The format's name.
        columns: For a generic format: the columns to read.
        reason: The evidence for the format.
        clean: ``llm`` if the texts must be cleaned, although their role does not ask for it.
        statements: ``each`` if the dump is one script, whose statements are the queries.
    """

    format: str
    columns: ColumnMapping | None
    reason: str
    clean: Literal["llm"] | None = None
    statements: Literal["each"] | None = None


def resolve_format(entry: CorpusEntry) -> tuple[CorpusEntry, str | None]:
    """Return the corpus with a known format, and a note on how an open format was recognized.

    Raises:
        CorpusError: The dump is missing, damaged, or in no known format.
    """
    if entry.format != AUTO:
        return entry, None
    found = recognize_format(entry)
    columns = found.columns
    if entry.columns is not None and entry.columns.slice is not None:
        slices = {"slice": entry.columns.slice}
        columns = entry.columns if columns is None else columns.model_copy(update=slices)
    keys = {
        "format": found.format,
        "columns": columns,
        "clean": found.clean or entry.clean,
        "statements": found.statements or entry.statements,
    }
    resolved = entry.model_copy(update=keys)
    return resolved, f"recognized as format '{found.format}': {found.reason}"


def recognize_format(
    entry: CorpusEntry, read_bytes: tuple[int, int, int] = _READ_BYTES
) -> Recognition:
    """Recognize the format of a corpus's dump.

    Args:
        entry: The corpus.
        read_bytes: How much of a text is read: at first, if that has no whole row, and if nothing
            is recognized by the latter, either.

    Raises:
        CorpusError: The dump is missing, damaged, or in no known format.
    """
    place = entry.path
    try:
        within = find_bounds(entry)
        listed = entry
        if entry.path.is_dir():
            if found := _recognize_folder(entry, within):
                return found
            if entry.glob is None and any(entry.path.glob("*.sql")):
                listed = entry.model_copy(update={"format": "lines"})
        sources = list_sources(listed)
        source = sources[0]
        place = source.path
        if source.suffix in YAML:
            return _recognize_yaml(entry, sources)
        is_table = source.suffix == ".parquet" or source.suffix in ARROW
        if is_table or _read_start(source, 4) == b"PAR1":
            tables = (call_in_child(_read_table, one) for one in sources[:_PEEKED_SCRIPTS])
            return _recognize_rows(entry, "parquet", next(filter(None, tables), []))
        return _recognize_start(entry, sources, read_bytes)
    except ChildDiedError as death:
        raise describe_death(entry, death) from None
    except OutsideError as error:
        raise outside_error(entry, error) from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        if reason := find_disk_reason(error, only_if_full=True):
            raise full_disk_error(reason) from None
        text = getattr(error, "strerror", None) or str(error) or repr(error)
        place = getattr(error, "filename", None) or place
        problem = f"cannot be read ({text.splitlines()[0]})"
        raise CorpusError(
            entry.name, entry.url or place, problem, "check that it is complete"
        ) from None


def _recognize_start(
    entry: CorpusEntry, sources: Sequence[Source], read_bytes: tuple[int, int, int]
) -> Recognition:
    """Recognize files of text by as much of the first one as has a whole row."""
    source = sources[0]
    for size in read_bytes:
        start = _read_start(source, size)
        text = _decode_start(start).lstrip("\ufeff").replace("\r\n", "\n")
        if _SQL_WORD.search(text) is None:
            text = text[: read_bytes[0]]  # the rest would take seconds, and has no query
        is_enough = _has_row(text) or len(start) < size
        if size == read_bytes[0] and not is_enough:
            continue
        try:
            return _recognize_text(entry, sources, text)
        except CorpusError as error:
            if is_enough:
                raise
            failure = error
    problem = f"{failure.problem}; its first row is longer than the {size >> 20} MB read"
    raise CorpusError(entry.name, entry.place, problem, failure.remedy)


def _has_row(text: str) -> bool:
    """Return whether the start of a file has a whole row: of JSON, of a table, or of text."""
    stripped = text.lstrip()
    if stripped.startswith(("{", "[")):
        return has_json_row(stripped)
    lines = io.StringIO(skip_lines_above(text), newline="")
    # The header, the first row, and the start of another one.
    return len([*islice(read_rows(lines, find_separator(text)), 3)]) == 3


def _recognize_folder(entry: CorpusEntry, within: tuple[Path, ...]) -> Recognition | None:
    folder, glob = entry.path, entry.glob
    names = [path.name for path in folder.glob("*.json")] if glob is None else []
    if all(any(name.endswith(end) for name in names) for end in ("label.json", "data.json")):
        return Recognition("ehrsql_2024", None, "files label.json and data.json")
    files = [Source(path) for path in folder.iterdir() if path.is_file()]
    has_rows = any(source.suffix in DATA_SUFFIXES for source in files)
    scripts = [
        Source(path)
        for path in find_files(folder, glob or "**/*.sql", within)
        if glob or not SCHEMAS.fullmatch(path.stem)
    ]
    if not scripts or (glob is not None and not glob.endswith(".sql")):
        if glob or has_rows:
            return None
        exports = [Source(path) for path in find_files(folder, "**/*.y*ml", within)]
        for source in exports[:_PEEKED_FILES]:
            check_file(source.path, within)
        return _find_in_yaml(entry, exports)
    for path in find_files(folder, "**/*.jsonl", within):
        check_file(path, within)
        rows = parse_json_rows(_read_text(Source(path)), 1)
        if rows and isinstance(rows[0], dict) and "instance_id" in rows[0]:
            reason = f"SQL files, and rows with an instance_id in {path.name}"
            return Recognition("spider2", None, reason)
    if glob is None and (inner := find_compiled(folder)):
        return Recognition("dbt", None, f"SQL files in {inner}/")
    if glob is None and (folder / "dbt_project.yml").is_file():
        raise CorpusError(
            entry.name,
            folder,
            "is a dbt project that is not compiled: its files are Jinja",
            "run dbt compile, and set path to target/compiled or target/manifest.json",
        )
    if "compiled" in folder.parts:
        return Recognition("dbt", None, "SQL files in a folder named compiled")
    own = [source for source in scripts if source.path.parent == folder]
    peeked = (own if own and glob is None else scripts)[:_PEEKED_SCRIPTS]
    for source in peeked:
        check_file(source.path, within)
    # Beside the rows of a data set, scripts in subfolders make its databases.
    if _hold_lines(entry, peeked) or (has_rows and not own and glob is None):
        return None
    if glob is not None or own:
        return Recognition("sql_files", None, "SQL files in one folder")
    return Recognition("dbt", None, "SQL files in subfolders")


def _hold_lines(entry: CorpusEntry, sources: Sequence[Source]) -> bool:
    """Return whether text files have a query on each line, and not one query a file.

    Files of one or two lines fit both.
    """
    texts = [_read_text(source).lstrip("\ufeff").splitlines() for source in sources]
    scripts = [lines for lines in texts if sum(1 for line in lines if line.strip()) > 2]
    return bool(scripts) and all(_find_line_format(entry, lines) for lines in scripts)


def _read_start(source: Source, size: int) -> bytes:
    with open_source(source) as file:
        return file.read(size)


def _decode_start(start: bytes) -> str:
    return start.decode(guess_start_encoding(start), "replace")


def _read_text(source: Source) -> str:
    return _decode_start(_read_start(source, _PEEKED_BYTES))


def _read_table(source: Source) -> Rows:
    """Return the first rows of a Parquet or Arrow file."""
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy.parquet")
        path = copy if convert_if_needed(source, copy) else source.path
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(_PEEKED_ROWS), None)
            return batch.to_pylist() if batch is not None else []


def _recognize_yaml(entry: CorpusEntry, sources: Sequence[Source]) -> Recognition:
    if found := _find_in_yaml(entry, sources):
        return found
    if len(sources) == 1:
        return _recognize_json(entry, next(_read_yaml(sources)))
    raise _unknown_error(entry, f"found no queries in YAML such as {sources[0].name}")


def _find_in_yaml(entry: CorpusEntry, sources: Sequence[Source]) -> Recognition | None:
    """Return the named format of YAML files. Only some files of an export contain queries."""
    peeked = sources[:_PEEKED_FILES]
    for source, rows in zip(peeked, _read_yaml(peeked), strict=True):
        if found := _match_signature(entry, "jsonl", rows):
            return replace(found, reason=f"{found.reason} in {source.name}")
    return None


def _read_yaml(sources: Sequence[Source]) -> Iterator[Rows]:
    """Yield the first rows of each file."""
    with TemporaryDirectory() as folder:
        for copy in stage_files(sources, Path(folder, "copy")):
            yield parse_json_rows(copy.read_text(encoding="utf-8"), _PEEKED_ROWS)


def _recognize_text(entry: CorpusEntry, sources: Sequence[Source], text: str) -> Recognition:
    """Recognize files of text by the start of the first one."""
    source = sources[0]
    stripped = text.lstrip()
    if stripped.startswith(("{", "[", '"')):
        rows = parse_json_rows(stripped, _PEEKED_ROWS)
        # Quoted names may also start a table.
        if rows and (not isinstance(rows[0], str) or _is_sql(entry, rows[0])):
            return _recognize_json(entry, rows)
    if _SLOW_LOG.search(text):
        return Recognition("mysql_slow_log", None, "lines that start with '# Query_time:'")
    if _LOG_LINE.match(text) and not _PG_LOG.match(text):
        return Recognition("pg_csvlog", None, "lines that start with a time, a user and a database")
    if _PG_LOG.search(text):
        return Recognition("pg_log", None, "lines with 'LOG:' and a message of PostgreSQL")
    lines = text.split("\n")
    is_named = source.suffix in (".csv", ".tsv")
    table_text = skip_lines_above(text if "\n" in text else text.replace("\r", "\n"))
    separator = find_separator(table_text, choose_preferred(entry.format, source.suffix))
    header, _, _ = table_text.partition("\n")
    if is_named or (source.suffix not in (".sql", ".txt") and separator in header):
        kind = "tsv" if separator == "\t" else "csv"
        rows = _read_csv(table_text, separator)
        if not rows:
            return _recognize_lines(entry, lines)
        names, *values = rows
        names = [name.strip(" ") for name in names]  # as DuckDB names columns
        table = [_name_values(names, row) for row in values]
        if any(looks_like_sql(name.strip("'\"`")) for name in names):
            return _recognize_without_header(entry, lines, n_columns=len(names))
        if is_named and not any(values):
            raise no_query_error(entry)
        try:
            return _recognize_rows(entry, kind, table)
        except CorpusError:
            if is_named:
                _check_header(entry, names, values)
                raise
    is_readable = source.suffix == ".sql" or source.member is None or entry.glob is not None
    if len(sources) > 1 and is_readable:
        peeked = sources[:_PEEKED_SCRIPTS]
        if _hold_lines(entry, peeked):
            _check_models(entry, sources)
        elif any(looks_like_sql(_skip_jinja(_read_text(one).lstrip("\ufeff"))) for one in peeked):
            return Recognition("sql_files", None, "SQL files, one query each")
    return _recognize_lines(entry, lines)


def _read_csv(text: str, separator: str) -> list[list[str]]:
    """Return the first rows of a table."""
    try:
        return [*islice(csv.reader(io.StringIO(text), delimiter=separator), _PEEKED_ROWS)]
    except csv.Error:  # a value is too long for this reader
        return [*islice(read_rows(io.StringIO(text, newline=""), separator), _PEEKED_ROWS)]


def _name_values(names: list[str], row: list[str]) -> dict[str, str]:
    """Return the values of a row by their names; of several with one name, the first with text."""
    named: dict[str, str] = {}
    for name, value in zip(names, row, strict=False):
        named[name] = named.get(name) or value
    return named


def _check_models(entry: CorpusEntry, sources: Sequence[Source]) -> None:
    """Raise if a model's answers are several files with an answer a line."""
    if entry.role != "predictions":
        return
    raise CorpusError(
        entry.name,
        entry.place,
        f"contains {len(sources)} files of answers, one a line "
        f"({shorten_names([source.name for source in sources])}), perhaps of several models",
        "list a corpus for each, with the file as its path",
    )


def _check_header(entry: CorpusEntry, names: list[str], rows: list[list[str]]) -> None:
    """Raise if the first line of a table is a title or a comment above its header."""
    if len(names) < 2 and 2 * sum(len(row) > 1 for row in rows) > len(rows):
        raise CorpusError(
            entry.name,
            entry.place,
            f"does not start with a header: its first line is '{shorten_names(names)}', and most "
            "rows have more values",
            "remove the lines above the header",
        )


def _recognize_without_header(entry: CorpusEntry, lines: list[str], n_columns: int) -> Recognition:
    """Recognize a table whose first row holds SQL: lines of SQL with commas, or refuse it."""
    try:
        return _recognize_lines(entry, lines)
    except CorpusError:
        if n_columns == 1 or looks_like_sql(lines[0]):
            raise
    raise CorpusError(
        entry.name,
        entry.place,
        f"is a table without a header: its first row has SQL among its {n_columns} values",
        "add a first line with a name for each column, such as id,sql",
    )


def _recognize_lines(entry: CorpusEntry, lines: list[str]) -> Recognition:
    if found := _find_line_format(entry, lines):
        return found
    complete = _list_complete(lines)
    statements, _ = _find_statements(entry, complete)
    if not statements and not looks_like_sql(_skip_jinja("\n".join(complete))):
        raise _no_dump_error(entry, complete)
    if entry.role == "predictions":
        raise CorpusError(
            entry.name,
            entry.place,
            "cannot be read as one answer a line: only "
            f"{_describe_share(len(statements), len(complete))}",
            "write one answer a line, or a JSON object an answer",
        )
    if not _starts_script(complete):
        raise _no_dump_error(entry, complete)
    dialect = None if entry.dialect == AUTO else entry.dialect
    if _may_split(entry) and len(choose_statements("\n".join(lines), "each", dialect=dialect)) > 1:
        reason = 'a script, each of whose statements is a query (statements = "each")'
        return Recognition("sql_files", None, reason, statements="each")
    return Recognition("sql_files", None, "SQL statements of several lines")


def _may_split(entry: CorpusEntry) -> bool:
    """Return whether a file can be read as a script, each of whose statements is a query."""
    # Others may have set the key, and a list of accepted queries has one query that counts.
    is_open = "statements" not in entry.model_fields_set and entry.which != "each"
    return is_open and entry.role != "predictions"


def _find_line_format(entry: CorpusEntry, lines: list[str]) -> Recognition | None:
    """Return the format of text with a query on each line, or None if it is something else."""
    complete = _list_complete(lines)
    statements, continued = _find_statements(entry, complete)
    if not statements and not looks_like_sql(_skip_jinja("\n".join(complete))):
        return None
    if sum(1 for line in complete if _GOLD_LINE.search(line)) >= 0.8 * len(complete):
        return Recognition("gold_sql", None, "lines of SQL followed by a tab and a name")
    if entry.role == "predictions" and (label := _find_other_label(complete)):
        raise CorpusError(
            entry.name,
            entry.place,
            f"cannot be read as one answer a line: lines start with labels such as '{label}'",
            "write only the answers, one a line, or a JSON object an answer",
        )
    share = len(statements) / len(complete)
    ends = _find_ends(entry, complete)
    if ends.n_closed and ends.n_continued > _BROKEN * len(complete) and _may_split(entry):
        return None  # a script
    is_answer = entry.role == "predictions" and share >= 0.5
    if is_answer and ends.n_closed and ends.n_continued > (1 - _MOST) * len(complete):
        raise CorpusError(
            entry.name,
            entry.place,
            f"cannot be read as one answer a line: {ends.n_continued} of the first "
            f"{len(complete)} lines go on in the next one, and others end in a semicolon",
            "write one answer a line, or a JSON object an answer",
        )
    if share >= 0.8:
        reasons = ["lines that start like SQL statements", ends.describe(len(complete))]
        return Recognition("lines", None, "; ".join(filter(None, reasons)))
    if is_answer and len(continued) < 0.2 * len(complete):
        reasons = [_describe_share(len(statements), len(complete)), ends.describe(len(complete))]
        return Recognition("lines", None, "; ".join(filter(None, reasons)))
    return None


class _Ends(NamedTuple):
    """How the first lines end that start like statements.

    Attributes:
        n_closed: The number of lines that end in a semicolon.
        n_open: The number of lines without one, apart from the last line.
        n_continued: The number of these that do not end a statement: the next line continues it.
    """

    n_closed: int
    n_open: int
    n_continued: int

    def describe(self, n_lines: int) -> str:
        """Return what is unclear about lines that are read as a query each; empty if nothing is."""
        if self.n_closed and self.n_open:
            verb = "does" if self.n_open == 1 else "do"
            return (
                f"{self.n_open} of the first {n_lines} {verb} not end in a semicolon, but others do"
            )
        if self.n_continued > _FEW * n_lines:
            verb = "goes" if self.n_continued == 1 else "go"
            return (
                f"{self.n_continued} of the first {n_lines} perhaps {verb} on in the next line, but"
                " no line ends in a semicolon"
            )
        return ""


def _find_ends(entry: CorpusEntry, lines: list[str]) -> _Ends:
    """Return how lines of text end that start like statements."""
    shown = [line for line in lines if has_statement(line)]
    is_start = [_is_sql(entry, line) for line in shown]
    is_closed = [_CLOSED.search(line) is not None for line in shown]
    pairs = [
        (line, following, starts)
        for line, following, starts, is_statement, closed in zip(
            shown, shown[1:], is_start[1:], is_start, is_closed, strict=False
        )
        if is_statement and not closed
    ]
    n_continued = sum(not starts or _goes_on(line, following) for line, following, starts in pairs)
    return _Ends(sum(is_closed), len(pairs), n_continued)


def _goes_on(line: str, following: str) -> bool:
    """Return whether a line does not end a statement, but the next one, which could start one."""
    scan = Scan(line, None)
    if scan.find_depth(len(line)) > 0 or not scan.is_complete(len(line)):
        return True
    if classify_statement(following) != "query":
        return find_first_word(line) in _BEFORE_CHANGES
    return len(split_statements(f"{line}\n{following}")) == 1


def _list_complete(lines: list[str]) -> list[str]:
    """Return the first lines with text, without the last line, which may be incomplete."""
    return [line for line in (lines[:-1] or lines) if line.strip()][:1000]


def _find_statements(entry: CorpusEntry, lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines that start a statement, and those that continue one."""
    words = {find_first_word(line) for line in lines}
    # FROM starts a query in some dialects, but in most scripts it continues one.
    others = {"FROM", "VALUES"} if words & {"SELECT", "WITH", "INSERT"} else set()
    statements = [
        line for line in lines if _is_sql(entry, line) and find_first_word(line) not in others
    ]
    continued = [
        line
        for line in lines
        # A comment on a line of its own belongs to the query below it.
        if find_first_word(line) in _CONTINUING_WORDS | others or line.lstrip().startswith("--")
    ]
    return statements, continued


def _describe_share(n_statements: int, n_lines: int) -> str:
    return f"{n_statements} of the first {n_lines} lines start like SQL statements"


def _find_other_label(lines: list[str]) -> str | None:
    """Return a label that more than a few lines start with and that names no answer."""
    labels = [match[0].rstrip() for line in lines if (match := _LABEL.match(line))]
    others = [
        label
        for label in labels
        if find_meaning((label,)) in (Meaning.REFERENCE, Meaning.PROMPT, Meaning.FLAWED)
    ]
    return others[0] if len(others) > _FEW * len(lines) else None


def _skip_jinja(text: str) -> str:
    """Skip the settings that models of dbt start with."""
    match = _JINJA.match(text)
    return text[match.end() :] if match else text


def _starts_script(lines: list[str]) -> bool:
    """Return whether lines are a script: they start with a statement, a setting, or comments."""
    start = "\n".join(line for line in lines if not line.lstrip().startswith("#!"))
    start = _skip_jinja(start)
    return looks_like_sql(start) or find_first_word(start) in _SCRIPT_WORDS


def _no_dump_error(entry: CorpusEntry, lines: list[str]) -> CorpusError:
    if "".join(lines).strip() in ("", "[]"):
        return no_query_error(entry)
    start = shorten_names(lines[:1])
    return CorpusError(
        entry.name,
        entry.place,
        f"does not look like a dump: it starts with '{start}', which is not SQL, JSON or a table",
        "check path, or set format, and columns if the format is generic",
    )


def _recognize_json(entry: CorpusEntry, rows: Rows) -> Recognition:
    if not rows:
        raise no_query_error(entry)
    inner = [item for row in rows for item in _unwrap(row)]
    found = _match_signature(entry, "jsonl", inner[:_PEEKED_ROWS])
    if found and find_view(f"dumps/{found.format}") == "log_rows":
        return found
    if found := _match_signature(entry, "jsonl", rows) or _match_page(entry, rows):
        return found
    if len(rows) == 1 and isinstance(rows[0], dict) and rows[0] and _is_numbered(rows[0]):
        return Recognition("bird_predictions", None, "a JSON object whose keys are numbers")
    try:
        layout = find_layout(
            rows,
            partial(_is_sql, entry, is_cleaned=entry.clean != "none"),
            is_answer=entry.role == "predictions",
        )
    except UnclearError as error:
        raise CorpusError(
            entry.name,
            entry.place,
            str(error),
            'set format = "jsonl" and columns = { sql = "...", rows = "..." } with one of '
            f"{shorten_names(list(error.candidates))} as rows",
        ) from None
    return _choose_columns(entry, "jsonl", rows, layout, _find_texts_outside(entry, layout))


def _find_texts_outside(entry: CorpusEntry, layout: Layout | None) -> tuple[Texts, ...]:
    """Return the columns with queries in the objects around the rows, under another key."""
    key = _FIRST_KEY.match(layout.rows) if layout else None
    if layout is None or key is None:
        return ()
    is_cleaned = entry.role == "predictions"
    return find_others(layout.outer, {key[1] or key[2]}, (), is_cleaned=is_cleaned)


def _is_numbered(row: dict[str, Any]) -> bool:
    is_text = all(value is None or isinstance(value, str | int) for value in row.values())
    return is_text and all(key.isdecimal() for key in row)


def _is_sql(entry: CorpusEntry, text: str, *, is_cleaned: bool = False) -> bool:
    is_cleaned = is_cleaned or entry.is_cleaned or entry.role == "predictions"
    return looks_like_sql(text) or (is_cleaned and looks_like_sql(clean_answer(text)))


def _unwrap(row: Any) -> Rows:
    """Return the rows of a query log in an object as services return it, or the object."""
    value = next((value for key in _WRAPPERS if (value := _get_value(row, [key]))), None)
    if isinstance(value, list) and isinstance(value[0], dict):
        return value
    return [value] if isinstance(value, dict) else [row]


def _can_read(format: str, kind: str) -> bool:
    """Return whether a format can be read from files of a kind, such as ``jsonl`` or ``csv``."""
    view = find_view(f"dumps/{format}")
    if view is not None:
        return view == "log_rows" or kind in ("jsonl", "parquet")
    if kind == "jsonl":
        return re.search(r"\bread_(json|text)\(", load_sql(f"dumps/{format}")) is not None
    kind = "csv" if kind == "tsv" else kind
    return f"{format}.{kind}" in list_sql("dumps") or (
        kind in ("csv", "parquet") and f"read_{kind}(" in load_sql(f"dumps/{format}")
    )


def _recognize_rows(entry: CorpusEntry, kind: str, rows: Rows) -> Recognition:
    if not rows:
        raise no_query_error(entry)
    return _match_signature(entry, kind, rows) or _choose_columns(entry, kind, rows)


# ---- named formats -----------------------------------------------------------------------------


def _match_signature(
    entry: CorpusEntry, kind: str, rows: Rows, page: str | None = None
) -> Recognition | None:
    """Return the first named format whose signs the rows bear.

    Args:
        entry: The corpus.
        kind: The kind of its files.
        rows: Its first rows.
        page: The key of the list of rows, if they are in the page of an API.
    """
    objects = [row for row in rows if isinstance(row, dict)]
    if models := _recognize_models(entry, kind, objects):
        return models
    names = {name for row in objects for name in _list_names(row)}
    lower = {name.lower() for name in names}
    is_answer = entry.role == "predictions"
    for one in _SIGNATURES:
        keys = one.keys.split(", ")
        if (
            page in (None, one.page)
            and entry.role in one.roles
            and all(key in (lower if key.islower() else names) for key in keys)
            and _can_read(one.format, kind)
            and one.fits(objects)
            and not (one.sql and _has_other_texts(entry, one, objects))
            and (not is_answer or one.holds_answers or not _names_answers(objects, one))
        ):
            others = _find_others(entry, one, objects)
            if _may_hold_the_wrong_queries(entry, one, others):
                _check_choice(entry, kind, one, others, objects)
                continue
            noun = "columns" if kind != "jsonl" else "keys"
            evidence = f"{noun} {', '.join(sorted(keys))}"
            also = describe_others(others, is_answer)
            return Recognition(one.format, None, f"{evidence}; SQL {also}" if also else evidence)
    return None


def _find_others(entry: CorpusEntry, signature: _Signature, rows: Rows) -> tuple[Texts, ...]:
    """Return the columns with other queries than those that a named format reads."""
    keys = {key.partition(".")[0] for key in signature.keys.split(", ")}
    own = {name for row in rows for name in row if keys & {name, name.lower()}}
    path = tuple(name for name in own if signature.sql in (name, name.lower()))
    return find_others(rows, own, path, is_cleaned=entry.role == "predictions")


def _may_hold_the_wrong_queries(
    entry: CorpusEntry, signature: _Signature, others: Sequence[Texts]
) -> bool:
    """Return whether the layout of a data set has been extended by a column of the other kind."""
    if signature.holds_answers:
        return False
    if entry.role == "predictions":
        return any(one.meaning not in (Meaning.REFERENCE, Meaning.PROMPT) for one in others)
    # The query may be a model's, if a reference is beside it.
    return bool(signature.sql) and any(one.meaning is Meaning.REFERENCE for one in others)


def _check_choice(
    entry: CorpusEntry, kind: str, signature: _Signature, others: Sequence[Texts], rows: Rows
) -> None:
    """Raise if the choice beside the column of a data set would be that column again."""
    try:
        name = _choose_texts(entry, rows)[0].taken.name
    except UnclearError:
        return  # the generic format says why
    if entry.role == "predictions" and name.lower() == signature.sql.lower():
        error = unclear_answers_error([name, *(one.name for one in others)])
        raise _unclear_error(entry, kind, str(error), error.candidates)


def _recognize_models(entry: CorpusEntry, kind: str, rows: Rows) -> Recognition | None:
    """Recognize predictions of text2sql-eval-toolkit, which has the answers of each model."""
    made = [made for row in rows if isinstance(made := row.get("predictions"), dict)]
    answers = [
        (model, answer)
        for one in made
        for model, answer in one.items()
        if isinstance(answer, dict) and "predicted_sql" in answer
    ]
    paths = {model: ("predictions", model, "predicted_sql") for model, _ in answers}
    if entry.role != "predictions" or not paths or any('"' in model for model in paths):
        return None
    first = next(iter(paths.values()))
    if len(paths) > 1:
        raise CorpusError(
            entry.name,
            entry.place,
            f"holds the answers of several models ({shorten_names(list(paths), 200, 4000)})",
            f'list a corpus for each, with format = "{kind}" and columns = '
            f"{{ sql = '{format_path(first)}' }}",
        )
    others = {role: _find_column(role, rows, first, is_nested=False) for role in _NAMES}
    columns = {role: format_path(path) for role, path in others.items() if path}
    reason = f"predictions of one model, '{first[1]}'"
    return Recognition(kind, ColumnMapping(sql=format_path(first), **columns), reason)


def _match_page(entry: CorpusEntry, rows: Rows) -> Recognition | None:
    """Return the named format whose rows are in a list of each value: the pages of an API."""
    for page in dict.fromkeys(one.page for one in _SIGNATURES if one.page):
        lists = [row[page] for row in rows if isinstance(row, dict) and page in row]
        if lists and len(lists) == len(rows) and all(isinstance(one, list) for one in lists):
            items = [item for one in lists for item in one]
            if found := _match_signature(entry, "jsonl", items, page):
                return replace(found, reason=f"{found.reason} in the list '{page}'")
    return None


def _list_names(row: dict[str, Any]) -> list[str]:
    """Return the keys of a row and, after a period, those of the objects in it."""
    inner = [f"{a}.{b}" for a, value in row.items() if isinstance(value, dict) for b in value]
    return [*row, *inner]


def _has_other_texts(entry: CorpusEntry, signature: _Signature, rows: Rows) -> bool:
    """Return whether the values at a signature's key of the query are mostly something else."""
    own = entry.model_copy(update={"format": signature.format})
    is_cleaned = own.is_cleaned or entry.role == "predictions"
    values = [_get_value(row, signature.sql.split(".")) for row in rows]
    given = [value for value in values if value not in (None, "")]
    return sum(_is_other_text(value, is_cleaned) for value in given) * 2 > len(given)


def _is_other_text(value: Any, is_cleaned: bool) -> bool:
    if not isinstance(value, str):
        return True
    # A single word may replace a query that does not exist.
    if len(value.split(None, 1)) < 2 or looks_like_sql(value):
        return False
    return not is_cleaned or not looks_like_sql(clean_answer(value))


def _get_value(row: Any, keys: list[str]) -> Any:
    for key in keys:
        if not isinstance(row, dict):
            return None
        row = next((value for name, value in row.items() if key in (name, name.lower())), None)
    return row


def _names_answers(rows: Rows, signature: _Signature) -> bool:
    """Return whether a key names a model's answers, other than the one that a signature reads."""
    return any(
        one.names_answers and one.path != tuple(signature.sql.split("."))
        for one in list_texts(rows)
    )


# ---- columns of generic formats ----------------------------------------------------------------


def _choose_columns(
    entry: CorpusEntry,
    kind: str,
    rows: Rows,
    layout: Layout | None = None,
    outside: tuple[Texts, ...] = (),
) -> Recognition:
    """Choose the columns of a generic format.

    Args:
        entry: The corpus.
        kind: The kind of its files.
        rows: The first values of the dump.
        layout: Where the rows are in an object.
        outside: Other columns with queries around these rows, which are named in the reason.
    """
    items = layout.items[:_PEEKED_ROWS] if layout else rows
    try:
        choice, clean = _choose_texts(entry, items)
    except UnclearError as error:
        if error.candidates:
            raise _unclear_error(entry, kind, str(error), error.candidates) from None
        names = list(dict.fromkeys(name for row in items if isinstance(row, dict) for name in row))
        raise _unknown_error(entry, f"{error} in {shorten_names(names)}") from None
    taken = choice.taken
    if taken.has_rows and _are_alternatives(taken, items):
        if entry.role == "predictions":
            why = f"has several texts for a question in the list of '{taken.name}'"
            raise _unclear_error(entry, kind, why, [taken.name])
    elif taken.has_rows and kind in _NESTED_KINDS:
        if layout is not None and layout.is_by_id:
            raise _unknown_error(entry, f"the lists at '{taken.name}' hold several rows of each id")
        inner = _find_inner_rows(taken, items, layout)
        key = taken.path[len(taken.long_list or ()) + 1]
        if sum(key in item for item in inner.items) < _MOST * len(inner.items):
            raise _unknown_error(entry, f"'{inner.rows}' has items without '{key}'")
        around_list = (one for one in choice.others if not _is_below(one, taken.long_list))
        return _choose_columns(entry, kind, rows, inner, (*outside, *around_list))
    columns = {"sql": taken.name}
    around = [*items, *(layout.outer if layout else [])]
    for role in _NAMES:
        is_key = role == "id" and layout is not None and layout.is_by_id
        path = _find_column(role, around, taken.path, is_nested=kind in _NESTED_KINDS)
        if path and not is_key:
            columns[role] = format_path(path)
    reasons = [choice.evidence, layout.reason if layout else "", _CLEAN_REASON if clean else ""]
    also = describe_others((*choice.others, *outside), choice.is_answer)
    reason = "; ".join(filter(None, [", ".join(filter(None, reasons)), also]))
    mapping = ColumnMapping(**columns, rows=layout.rows if layout else None)
    return Recognition(kind, mapping, reason, clean)


def _choose_texts(entry: CorpusEntry, rows: Rows) -> tuple[Choice, Literal["llm"] | None]:
    """Choose the texts with the queries, and tell whether they must be cleaned to be SQL."""
    is_answer = entry.role == "predictions"
    is_cleaned = is_answer or entry.is_cleaned
    may_clean = not is_cleaned and entry.clean is None
    try:
        choice = choose_texts(list_texts(rows), is_answer=is_answer, is_cleaned=is_cleaned)
    except UnclearError as error:
        if not may_clean or error.candidates:
            raise
        return choose_texts(list_texts(rows), is_answer=is_answer, is_cleaned=True), "llm"
    return choice, "llm" if may_clean and choice.taken.needs_cleaning else None


def _is_below(texts: Texts, path: KeyPath | None) -> bool:
    return path is not None and texts.path[: len(path)] == path


def _are_alternatives(taken: Texts, rows: Rows) -> bool:
    """Return whether a list belongs to one question, which is outside of the list."""
    assert taken.long_list is not None
    inner = [item for row in rows for item in get_items(row, taken.long_list)]
    path = taken.path[len(taken.long_list) + 1 :]
    has_inner = _find_column("question", inner, path, is_nested=True) is not None
    return not has_inner and _find_column("question", rows, taken.path, is_nested=True) is not None


def _find_inner_rows(taken: Texts, rows: Rows, around: Layout | None) -> Layout:
    """Return the lists on the path of some texts, whose items are rows of their own."""
    assert taken.long_list is not None
    items = [
        item for row in rows for item in get_items(row, taken.long_list) if isinstance(item, dict)
    ]
    steps = format_path((*taken.long_list, 0)).removeprefix("$").replace("[0]", "[*]")
    if not steps.startswith(("[", ".")):
        steps = f".{steps}"
    path = f"${steps}" if around is None else f"{around.rows.removesuffix('[*]')}[*]{steps}"
    # A list needs no star, unless it is one of several.
    path = path if path.count("[*]") > 1 else path.removesuffix("[*]")
    outer = rows if around is None and "*" not in path else []
    return Layout(path, items, outer, f"in the items of '{path}'")


def _find_column(role: str, rows: Rows, taken: KeyPath, *, is_nested: bool) -> KeyPath | None:
    """Return the place of a role's plain values: beside the query, in the row, or further in."""
    wanted = _NAMES[role]
    ranked = {}
    for row in rows:
        for path, value in list_plain_values(row) if isinstance(row, dict) else ():
            # In {"query": {"en": ...}, "question": {"en": ...}}, the outer key is the name.
            is_language = 1 < len(path) == len(taken) and path[-1] == taken[-1]
            name = str(path[-2] if is_language else path[-1]).lower()
            is_near = len(path) == 1 or is_language or path[:-1] == taken[:-1]
            is_allowed = is_near or (role in _FAR_ROLES and name in wanted[:_N_FAR_NAMES])
            if role == "question" and (not isinstance(value, str) or looks_like_sql(value)):
                continue
            if name in ROW_NUMBERS and not _ROW_NUMBER.fullmatch(str(value)):
                continue
            if name in wanted and path != taken and is_allowed and (is_nested or len(path) == 1):
                ranked[path] = (wanted.index(name), path[:-1] != taken[:-1], len(path))
    return min(ranked, key=lambda path: ranked[path], default=None)


def _unclear_error(
    entry: CorpusEntry, kind: str, why: str, candidates: Sequence[str]
) -> CorpusError:
    return CorpusError(
        entry.name,
        entry.place,
        why,
        f'set format = "{kind}" and columns = {{ sql = "..." }} to one of '
        f"{shorten_names(list(dict.fromkeys(candidates)))}",
    )


def _unknown_error(entry: CorpusEntry, why: str) -> CorpusError:
    return CorpusError(
        entry.name,
        entry.place,
        f"has an unknown format: {why}",
        "set format, and columns if the format is generic",
    )
