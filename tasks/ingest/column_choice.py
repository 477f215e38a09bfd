"""Choice of the column with the queries, among all texts in the rows of a dump.

Columns are judged by their texts after cleaning, by their names, and by the role of the corpus: a
model's answers are never read from a column with the reference queries.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from nl2sql_align.tasks.ingest.answers import clean_answer
from nl2sql_align.tasks.ingest.column_names import (
    ANSWERS,
    KeyPath,
    Meaning,
    find_meaning,
    is_plain_query,
)
from nl2sql_align.tasks.ingest.lists import parse_list
from nl2sql_align.tasks.ingest.sql_signs import looks_like_sql
from nl2sql_align.tasks.ingest.statements import classify_statement

_MAX_DEPTH: Final = 8
_MAX_FIELDS: Final = 20
_MAX_ITEMS: Final = 50
_MIN_SHARE: Final = 0.5
_FEW: Final = 0.1
_N_SHOWN: Final = 4
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_]\w*")

# How good a column is for a training set or a target, the best first.
_OF_DATA_SET: Final = {
    Meaning.REFERENCE: 0,
    Meaning.QUERY: 0,
    Meaning.ANSWER: 1,
    Meaning.TEXT: 1,
    Meaning.OTHER: 1,
    Meaning.COMPLETION: 1,
    Meaning.RESPONSE: 2,
    Meaning.PREDICTION: 3,
    Meaning.FLAWED: 4,
    Meaning.PROMPT: 5,
}
# The same for predictions. A column of one level is not taken if one of a better level exists: in
# files of rows for fine-tuning, even "response" and "completion" are references. So only of the
# first level may several differ.
_OF_MODEL: Final = {
    Meaning.PREDICTION: 0,
    Meaning.RESPONSE: 1,
    Meaning.COMPLETION: 2,
    Meaning.ANSWER: 2,
    Meaning.TEXT: 2,
    Meaning.QUERY: 3,
    Meaning.OTHER: 3,
}
_WITHOUT_A_NAME: Final = 3


@dataclass
class Texts:
    """The texts at one path of the first rows.

    Attributes:
        path: Their place. The path of a list of texts is that of its first item, and objects in
            a list have the path of the first one.
        meaning: The meaning of the path's keys.
        texts: The text of each row that has one, by the row's number.
        places: The path of each of these texts, with its own positions in lists.
        longer_rows: Rows in which a list on the path has more than one item.
        long_list: The path of the first list of objects with more than one item.
        is_sql: For each row with a text: whether it is SQL.
        n_queries: Rows whose text is SQL other than DDL.
    """

    path: KeyPath
    meaning: Meaning
    texts: dict[int, str] = field(default_factory=dict)
    places: Counter[KeyPath] = field(default_factory=Counter)
    longer_rows: set[int] = field(default_factory=set)
    long_list: KeyPath | None = None
    is_sql: dict[int, bool] = field(default_factory=dict)
    n_queries: int = 0

    @property
    def name(self) -> str:
        """The column, or the JSON path, for ``columns``."""
        return format_path(
            max(self.places, key=lambda place: self.places[place], default=self.path)
        )

    @property
    def n_elsewhere(self) -> int:
        """The number of texts that a path with a position in a list does not reach."""
        return self.places.total() - max(self.places.values(), default=0)

    @property
    def names_answers(self) -> bool:
        """Whether the column has a name for answers, and texts that may be answers.

        An empty answer counts; a single word, as in a verdict or a state, does not.
        """
        has_words = any(len(text.split(None, 1)) > 1 for text in self.texts.values())
        return self.meaning in ANSWERS and (has_words or not self.texts)

    @property
    def answer_key(self) -> KeyPath:
        """The path down to the first key that names an answer."""
        ends = (n for n in range(1, len(self.path)) if find_meaning(self.path[:n]) in ANSWERS)
        return self.path[: next(ends, len(self.path))]

    @property
    def has_rows(self) -> bool:
        """Whether a list on the path has items that are rows, not alternatives of one answer."""
        return self.long_list is not None and find_meaning(self.long_list) not in ANSWERS

    @property
    def n_sql(self) -> int:
        """The number of rows whose text is SQL."""
        return sum(self.is_sql.values())

    @property
    def share(self) -> float:
        """The share of the texts that are SQL."""
        return self.n_sql / len(self.texts) if self.texts else 0.0

    @property
    def needs_cleaning(self) -> bool:
        """Whether more than a few texts are SQL only after cleaning."""
        others = [self.texts[row] for row, is_sql in self.is_sql.items() if not is_sql]
        n_cleaned = sum(looks_like_sql(clean_answer(text)) for text in others)
        return n_cleaned > _FEW * len(self.texts)

    def judge(self, is_cleaned: bool) -> None:
        """Find out which texts are SQL, as they are or after cleaning."""
        for row, text in self.texts.items():
            found = text
            if not (is_sql := looks_like_sql(text)) and is_cleaned:
                found = clean_answer(text)
                is_sql = looks_like_sql(found)
            self.is_sql[row] = is_sql
            self.n_queries += is_sql and classify_statement(found) != "ddl"


@dataclass(frozen=True)
class Choice:
    """The chosen texts, and the others that hold SQL and were not taken."""

    taken: Texts
    others: tuple[Texts, ...]
    is_answer: bool

    @property
    def evidence(self) -> str:
        """Why these texts were taken, for a note."""
        parts = [f"SQL in '{self.taken.name}'"]
        if self.is_answer and self.taken.meaning is not Meaning.OTHER:
            parts[0] += f", by its name {self.taken.meaning.value}"
        if self.taken.longer_rows:
            n_rows = len(self.taken.texts)
            several = f"{len(self.taken.longer_rows)} of the first {n_rows} rows have several"
            is_first = any(isinstance(key, int) for key in self.taken.path)
            parts.append(f"the first of each list ({several})" if is_first else several)
        return "; ".join(parts)


def describe_others(others: Sequence[Texts], is_answer: bool) -> str:
    """List the other columns with SQL, for a note; return an empty text without any."""
    named = [f"'{one.name}' ({_explain(one, is_answer)})" for one in others[:_N_SHOWN]]
    more = ", ..." if len(others) > _N_SHOWN else ""
    return f"also in {', '.join(named)}{more}, not taken" if named else ""


class UnclearError(Exception):
    """No column can be taken; the text says why, and the attribute names the candidates."""

    def __init__(self, problem: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.candidates = tuple(candidates)


def format_path(path: KeyPath) -> str:
    """Return a column's name, or a JSON path if it is nested."""
    if len(path) == 1 and isinstance(path[0], str) and not path[0].startswith("$"):
        return path[0]
    steps = []
    for key in path:
        if isinstance(key, int):
            steps.append(f"[{key}]")
        else:
            steps.append(f".{key}" if _PLAIN_KEY.fullmatch(key) else f'."{key}"')
    return "$" + "".join(steps)


def list_texts(rows: Sequence[Any]) -> list[Texts]:
    """Return the texts in the rows by their paths, in the order of their first occurrence.

    All objects in a list have the path of the first one. Of other items, only the first is read.
    """
    found: dict[KeyPath, Texts] = {}
    for number, row in enumerate(rows):
        left = [_Item(row, (), ())]
        while left:
            item = left.pop()
            if item.value is None or isinstance(item.value, str):
                value, n_items = _read_list(item.value or "")
                texts = found.setdefault(item.path, Texts(item.path, find_meaning(item.path)))
                if value.strip() and number not in texts.texts:
                    texts.texts[number] = value
                    texts.places[item.place] += 1
                if item.is_in_longer_list or n_items > 1:
                    texts.longer_rows.add(number)
                texts.long_list = texts.long_list or item.long_list
            elif item.value in ([], {}):
                found.setdefault(item.path, Texts(item.path, find_meaning(item.path)))
            elif len(item.path) < _MAX_DEPTH:
                left += reversed(_open(item))
    return list(found.values())


def _read_list(text: str) -> tuple[str, int]:
    """Return the first item of a list that is written as a text, as in tables; or the text."""
    items = parse_list(text)
    return (items[0], len(items)) if items else (text, 1)


@dataclass(frozen=True)
class _Item:
    """A value in a row, its path, its own place, and whether a list around it has more items."""

    value: Any
    path: KeyPath
    place: KeyPath
    is_in_longer_list: bool = False
    long_list: KeyPath | None = None


def _open(item: _Item) -> list[_Item]:
    """Return the values in an object, or the objects or the first other value in a list."""
    value, path = item.value, item.path
    if isinstance(value, dict):
        inner = {key: v for key, v in value.items() if key and '"' not in key}
        return [
            replace(item, value=v, path=(*path, key), place=(*item.place, key))
            for key, v in inner.items()
        ]
    if not isinstance(value, list) or not value:
        return []
    if not path and _is_record(value):
        return [_Item(v, (n,), (n,)) for n, v in enumerate(value)]
    is_longer = len(value) > 1
    return [
        _Item(
            one,
            # The path of a list of texts is that of its first item.
            path if isinstance(one, str) else (*path, 0),
            item.place if isinstance(one, str) else (*item.place, n),
            item.is_in_longer_list or is_longer,
            item.long_list or (path if is_longer and isinstance(one, dict) else None),
        )
        # Objects may have other keys than the first one.
        for n, one in enumerate(value[:_MAX_ITEMS] if isinstance(value[0], dict) else value[:1])
    ]


def _is_record(row: list[Any]) -> bool:
    """Return whether a list holds the fields of one row, not several queries."""
    return (
        len(row) <= _MAX_FIELDS and sum(isinstance(v, str) and looks_like_sql(v) for v in row) < 2
    )


def list_plain_values(row: dict[str, Any]) -> Iterator[tuple[KeyPath, str | int | float]]:
    """Yield the texts and numbers in an object and the objects in it, with their paths."""
    left: list[tuple[Any, KeyPath]] = [(row, ())]
    while left:
        value, path = left.pop()
        if isinstance(value, dict) and len(path) < _MAX_DEPTH:
            left += [(v, (*path, key)) for key, v in value.items() if key and '"' not in key]
        elif isinstance(value, str | int | float) and path:
            yield path, value


def get_items(row: Any, path: KeyPath) -> list[Any]:
    """Return the items of the lists at a path, in which 0 means each item."""
    values = [row]
    for key in (*path, 0):
        if key == 0:
            values = [item for value in values if isinstance(value, list) for item in value]
        else:
            values = [value.get(key) for value in values if isinstance(value, dict)]
    return values


def choose_texts(texts: Iterable[Texts], *, is_answer: bool, is_cleaned: bool) -> Choice:
    """Choose the texts that hold the queries.

    Args:
        texts: All texts of the first rows.
        is_answer: Whether a model's answers are looked for, or the queries of a data set.
        is_cleaned: Whether the texts are cleaned when they are read.

    Raises:
        UnclearError: No text is SQL, or it is unclear which column is meant.
    """
    judged = list(texts)
    for one in judged:
        # The SQL in prompts is not an answer.
        one.judge(is_cleaned and one.meaning not in (Meaning.PROMPT, Meaning.REFERENCE))
    taken = _choose_answers(judged) if is_answer else _choose_queries(judged)
    if not taken.has_rows and taken.n_elsewhere > _FEW * len(taken.texts):
        raise UnclearError(
            f"has the texts of '{taken.name}' at different positions of a list", [taken.name]
        )
    return Choice(taken, _find_others(judged, taken, is_answer), is_answer)


def find_others(
    rows: Sequence[Any], keys: Collection[str], path: KeyPath, *, is_cleaned: bool
) -> tuple[Texts, ...]:
    """Return the columns that hold other queries than a named format reads.

    Args:
        rows: The first rows.
        keys: The keys of the format.
        path: Where its queries are, if that is one column.
        is_cleaned: Whether texts are cleaned when they are read, as only answers are.
    """
    judged = list_texts(rows)
    taken = next((one for one in judged if one.path == path), Texts(path, Meaning.OTHER))
    for one in judged:
        one.judge(is_cleaned and one.meaning not in (Meaning.PROMPT, Meaning.REFERENCE))
    others = [one for one in judged if one.path and one.path[0] not in keys]
    return _find_others(others, taken, is_answer=is_cleaned)


def _find_others(judged: Iterable[Texts], taken: Texts, is_answer: bool) -> tuple[Texts, ...]:
    """Return the columns to name in a note: of other queries, and of references beside answers."""
    return tuple(
        one
        for one in judged
        if one is not taken
        and one.n_queries
        and one.share >= _MIN_SHARE
        and ((is_answer and one.meaning is Meaning.REFERENCE) or not _agree(one, taken))
    )


def _choose_queries(judged: list[Texts]) -> Texts:
    good = [one for one in judged if one.share >= _MIN_SHARE]
    # A data set does not ask for a schema, under any name.
    good = [one for one in good if one.n_queries] or good
    if not good:
        raise UnclearError("found no SQL")

    def rank(one: Texts) -> tuple[object, ...]:
        return (
            _OF_DATA_SET[one.meaning],
            _has_better_name(one, good),
            -round(one.n_sql / max(len(one.texts) for one in good), 1),
            one.meaning is not Meaning.REFERENCE,
            len(one.path),
        )

    return min(good, key=rank)


def _has_better_name(one: Texts, good: Iterable[Texts]) -> bool:
    """Return whether a column beside this one has a name that promises the query more clearly."""
    beside = [other for other in good if other.path[:-1] == one.path[:-1]]
    if one.meaning is Meaning.TEXT:
        return any(other.meaning in (Meaning.ANSWER, Meaning.COMPLETION) for other in beside)
    if one.meaning is Meaning.QUERY and not is_plain_query(one.path):
        return any(is_plain_query(other.path) for other in beside)
    return False


def _choose_answers(judged: list[Texts]) -> Texts:
    by_level: dict[int, list[Texts]] = {}
    for one in judged:
        if one.meaning in _OF_MODEL and (one.n_sql or one.names_answers):
            by_level.setdefault(_OF_MODEL[one.meaning], []).append(one)
    level = min(by_level, default=_WITHOUT_A_NAME)
    named = by_level.get(level, [])
    good = [one for one in named if one.share >= _MIN_SHARE]
    if level < _WITHOUT_A_NAME:
        # A model may fail to write SQL most of the time.
        good = good or [one for one in named if one.n_sql]
    else:
        good = [one for one in good if one.n_queries] or good
    if not good:
        raise _explain_failure(judged, [one for one in named if one.names_answers])
    taken = min(good, key=lambda one: (-one.share, len(one.path)))
    # Answers without any SQL may be refusals, beside references with the same kind of name.
    refused = [
        one
        for one in named
        if one.names_answers and not one.n_sql and one.answer_key != taken.answer_key
    ]
    others = [one for one in good if one is not taken and not _agree(one, taken)] + refused
    if others and level > 0:
        raise unclear_answers_error([one.name for one in (taken, *others)])
    return taken


def unclear_answers_error(names: Sequence[str]) -> UnclearError:
    """Return the error for several columns, each of which may contain a model's answers."""
    listed = " and ".join(f"'{name}'" for name in names[:_N_SHOWN])
    problem = f"has {listed}, and it is unclear which of them are the model's answers"
    return UnclearError(problem, names)


def _explain_failure(judged: list[Texts], answers: list[Texts]) -> UnclearError:
    with_sql = [one for one in judged if one.n_queries and one.share >= _MIN_SHARE]
    if not with_sql:
        return UnclearError("found no SQL")
    listed = ", ".join(f"'{one.name}' ({_explain(one, True)})" for one in with_sql[:_N_SHOWN])
    why = ""
    if answers:
        why = f", although '{answers[0].name}' should hold the answers"
    return UnclearError(
        f"found SQL only in {listed}{why}", [one.name for one in (*answers, *with_sql)]
    )


def _explain(one: Texts, is_answer: bool) -> str:
    if is_answer and one.meaning in (Meaning.COMPLETION, Meaning.ANSWER, Meaning.QUERY):
        return "perhaps the reference"
    return one.meaning.value if one.meaning is not Meaning.OTHER else f"{one.share:.0%} SQL"


def _agree(one: Texts, other: Texts) -> bool:
    """Return whether most texts of two columns are equal, like a response and the SQL in it."""
    shared = one.texts.keys() & other.texts.keys()
    n_same = sum(_clean(one.texts[row]) == _clean(other.texts[row]) for row in shared)
    return n_same > len(shared) / 2


def _clean(text: str) -> str:
    return clean_answer(text).strip().rstrip(";")
