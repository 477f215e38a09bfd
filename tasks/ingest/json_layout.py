"""The place of the rows in a JSON dump: its values, a list in an object, or an object by ids."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from nl2sql_align.tasks.ingest.column_choice import UnclearError, format_path
from nl2sql_align.tasks.ingest.column_names import (
    RANKED_ANSWERS,
    RANKED_REFERENCES,
    KeyPath,
    Meaning,
    find_meaning,
)

# Lists of objects that belong to one row.
LISTS_OF_A_ROW: Final = frozenset({"choices", "messages", "conversations", "interaction", "tools"})

_SPLITS: Final = frozenset("train training dev development val valid validation test".split())
# Columns that an object around the rows does not have.
_COLUMNS: Final = ("question", "utterance", "prompt", "response", "completion", "instance_id")
_MAX_DEPTH: Final = 3
_MAX_WORDS_OF_A_NAME: Final = 3
_N_LOOKED_AT: Final = 5
_MOST: Final = 0.8

IsSql = Callable[[str], bool]


@dataclass(frozen=True)
class Layout:
    """The rows in a JSON dump.

    Attributes:
        rows: Their path, for ``columns``.
        items: The first rows.
        outer: The objects around them.
        reason: The evidence, for a note.
    """

    rows: str
    items: list[Any]
    outer: list[Any]
    reason: str

    @property
    def is_by_id(self) -> bool:
        """Whether the key of each row is its id."""
        return self.rows.endswith(".*")


def find_layout(values: list[Any], is_sql: IsSql, *, is_answer: bool) -> Layout | None:
    """Return the place of the rows if they are not the values themselves.

    Args:
        values: The first values of the dump.
        is_sql: Tells whether a text is SQL.
        is_answer: Whether a model's answers are looked for.

    Raises:
        UnclearError: Several lists could be the rows, or the only one is of references.
    """
    objects = [value for value in values if isinstance(value, dict)]
    if not objects or len(objects) < len(values):
        return None
    if len(objects) == 1:
        return _find_in_object(objects[0], (), is_sql, is_answer)
    n_keys = Counter(key for row in objects for key in row)
    if max(n_keys.values(), default=2) == 1:
        merged = {key: value for row in objects for key, value in row.items()}
        if _is_by_id(merged, is_sql):
            return _make_by_id((), merged, objects)
    return None


def _find_in_object(
    row: dict[str, Any], at: KeyPath, is_sql: IsSql, is_answer: bool
) -> Layout | None:
    if _is_by_id(row, is_sql):
        return _make_by_id(at, row, [row])
    found = {
        key: layout
        for key, value in row.items()
        if key and '"' not in key and (layout := _make_layout((*at, key), value, row, is_sql))
    }
    if any(key in row and not isinstance(row[key], list | dict) for key in _COLUMNS):
        # The object is a row itself, with several texts in one column.
        found = {key: one for key, one in found.items() if isinstance(one.items[0], dict)}
    if found:
        return _choose_layout(row, at, found, is_answer)
    inner = [(key, value) for key, value in row.items() if isinstance(value, dict) and key]
    if len(inner) == 1 and '"' not in inner[0][0] and len(at) < _MAX_DEPTH:
        [(key, value)] = inner
        if find_meaning((key,)) is Meaning.OTHER or len(value) > 1:
            return _find_in_object(value, (*at, key), is_sql, is_answer)
    return None


def _make_layout(at: KeyPath, value: Any, row: dict[str, Any], is_sql: IsSql) -> Layout | None:
    """Return the rows in the value of a key, if it is a list of rows or an object by number."""
    if at[-1] not in LISTS_OF_A_ROW and _is_list_of_rows(value, is_sql):
        return Layout(_format_place(at), value, [row], f"in the list '{at[-1]}'")
    # Words as keys may be the fields of one row.
    is_numbered = isinstance(value, dict) and all(re.search(r"\d", key) for key in value)
    if is_numbered and _is_by_id(value, is_sql):
        return _make_by_id(at, value, [row])
    return None


def _choose_layout(
    row: dict[str, Any], at: KeyPath, found: dict[str, Layout], is_answer: bool
) -> Layout:
    """Choose one of the lists in an object by their names, or all lists of a data set."""
    wanted = RANKED_ANSWERS if is_answer else RANKED_REFERENCES
    meanings = {key: find_meaning((key,)) for key in found}
    best = min(map(wanted.index, {*meanings.values()} & {*wanted}), default=None)
    named = [key for key in found if best is not None and meanings[key] is wanted[best]]
    others = [key for key in found if meanings[key] is Meaning.OTHER]
    keys = named or others or [*found]
    if is_answer and not named and not others:
        listed = ", ".join(f"'{key}' ({meanings[key].value})" for key in found)
        raise UnclearError(f"found SQL only in {listed}", [found[key].rows for key in found])
    if len(keys) == 1:
        return found[keys[0]]
    is_split = any(key.lower() in _SPLITS for key in keys)
    is_all = len(found) == len(row) and all(isinstance(value, list) for value in row.values())
    # The lists of several models would be merged, too.
    if is_all and not is_split and not named and not is_answer:
        items = [item for one in found.values() for item in one.items]
        path = f"{_format_place(at)}.*[*]"
        return Layout(path, items, [row], f"in {len(found)} lists of an object")
    names = ", ".join(f"'{key}'" for key in keys)
    raise UnclearError(f"has several lists of rows, {names}", [found[key].rows for key in keys])


def _make_by_id(at: KeyPath, row: dict[str, Any], outer: list[Any]) -> Layout:
    where = f" at '{_format_place(at)}'" if at else ""
    return Layout(
        f"{_format_place(at)}.*",
        list(row.values()),
        outer,
        f"in an object{where} whose keys are ids",
    )


def _format_place(at: KeyPath) -> str:
    """Return the path of an object or a list; ``format_path`` would write one key without ``$``."""
    return format_path((*at, 0)).removesuffix("[0]")


def _is_by_id(row: dict[str, Any], is_sql: IsSql) -> bool:
    """Return whether the keys of an object are ids, and its values are queries or rows."""
    if len(row) < 2 or _has_names(row):
        return False
    values = [value for value in row.values() if value is not None]
    rows = [value for value in values if isinstance(value, dict)]
    if len(rows) >= _MOST * len(values):
        # The rows have keys in common, and some of them SQL.
        n_keys = Counter(key for value in rows for key in value)
        if any(not _has_names(value) and _is_by_id(value, is_sql) for value in rows[:1]):
            raise UnclearError(
                "has several objects of rows", [f"{format_path((key, 0))[:-3]}.*" for key in row]
            )
        return max(n_keys.values(), default=0) * 2 > len(rows) and _holds_sql(rows, is_sql)
    # Lists that are longer than the object are columns.
    if any(isinstance(value, list) and len(value) > len(row) for value in values):
        return False
    texts = [text for value in values if isinstance(text := _take_first(value), str)]
    # A single word, such as null, replaces a query that does not exist.
    longer = [text for text in texts if len(text.split(None, 1)) > 1]
    n_sql = sum(map(is_sql, longer))
    return len(texts) >= _MOST * len(values) and n_sql > 0 and len(longer) <= 2 * n_sql


def _has_names(row: dict[str, Any]) -> bool:
    """Return whether some key is a column's name. Names have few words and no numbers."""
    return any(
        find_meaning((key,)) is not Meaning.OTHER
        for key in row
        if len(key.split()) <= _MAX_WORDS_OF_A_NAME and not re.search(r"\d", key)
    )


def _is_list_of_rows(value: Any, is_sql: IsSql) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return isinstance(value[0], dict | str) and _holds_sql(value, is_sql)


def _holds_sql(rows: list[Any], is_sql: IsSql) -> bool:
    return any(is_sql(text) for row in rows[:_N_LOOKED_AT] for text in _walk_texts(row))


def _walk_texts(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value[:1]


def _take_first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value
