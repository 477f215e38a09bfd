"""Choice of the column with the queries, among all texts in the rows of a dump.

Columns are judged by what their texts are after cleaning, by what their names say, and by the role
of the corpus: a model's answers are never read from a column with the reference queries.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from nl2sql_align.tasks.ingest.answers import clean_answer
from nl2sql_align.tasks.ingest.column_names import KeyPath, Meaning, find_meaning
from nl2sql_align.tasks.ingest.sql_signs import looks_like_sql
from nl2sql_align.tasks.ingest.statements import classify_statement

_MAX_DEPTH: Final = 8
_MIN_SHARE: Final = 0.5
_N_SHOWN: Final = 4
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_]\w*")

# How good a column is for a training set or a target, the best first.
_OF_DATA_SET: Final = {
    Meaning.REFERENCE: 0,
    Meaning.QUERY: 0,
    Meaning.ANSWER: 1,
    Meaning.TEXT: 1,
    Meaning.OTHER: 1,
    Meaning.RESPONSE: 2,
    Meaning.PREDICTION: 3,
    Meaning.FLAWED: 4,
    Meaning.PROMPT: 5,
}
# The same for predictions. A column of one level is not taken if a text of a better one exists.
_OF_MODEL: Final = {
    Meaning.PREDICTION: 0,
    Meaning.RESPONSE: 0,
    Meaning.ANSWER: 1,
    Meaning.TEXT: 1,
    Meaning.QUERY: 2,
    Meaning.OTHER: 2,
}


@dataclass
class Texts:
    """The texts at one path of the first rows.

    Attributes:
        path: Where they are. The path of a list of texts stands for its first item.
        meaning: What the path's keys say.
        texts: The text of each row that has one, by the row's number.
        n_longer_lists: Rows in which a list on the path has more than one item.
        long_list: The path of the first list of objects with more than one item.
        is_sql: For each row with a text: whether it is SQL.
    """

    path: KeyPath
    meaning: Meaning
    texts: dict[int, str] = field(default_factory=dict)
    n_longer_lists: int = 0
    long_list: KeyPath | None = None
    is_sql: dict[int, bool] = field(default_factory=dict)
    n_queries: int = 0

    @property
    def name(self) -> str:
        """The column, or the JSON path, for ``columns``."""
        return format_path(self.path)

    @property
    def n_sql(self) -> int:
        """The number of rows whose text is SQL."""
        return sum(self.is_sql.values())

    @property
    def share(self) -> float:
        """The share of the texts that are SQL."""
        return self.n_sql / len(self.texts) if self.texts else 0.0

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
    is_cleaned: bool

    @property
    def reason(self) -> str:
        """The evidence, for a note."""
        parts = [f"SQL in '{self.taken.name}'"]
        if self.taken.meaning in (Meaning.PREDICTION, Meaning.RESPONSE):
            parts[0] += f", which names {self.taken.meaning.value}"
        if self.taken.n_longer_lists:
            n_rows = len(self.taken.texts)
            parts.append(
                f"the first of each list ({self.taken.n_longer_lists} of the first {n_rows} rows "
                "have several)"
            )
        if self.others:
            named = [f"'{t.name}' ({_explain(t)})" for t in self.others[:_N_SHOWN]]
            more = ", ..." if len(self.others) > _N_SHOWN else ""
            parts.append(f"also in {', '.join(named)}{more}, not taken")
        return "; ".join(parts)


class UnclearError(Exception):
    """No column can be taken; the text says why, and the attribute names what could be meant."""

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

    Of each list, the first item is looked at.
    """
    found: dict[KeyPath, Texts] = {}
    for number, row in enumerate(rows):
        # The items that are left: a value, its path, and the longer lists around it.
        left: list[tuple[Any, KeyPath, int, KeyPath | None]] = [(row, (), 0, None)]
        while left:
            value, path, n_longer, long_list = left.pop()
            if isinstance(value, str):
                # The path of a list of texts stands for its first item.
                named = path[:-1] if len(path) > 1 and path[-1] == 0 else path
                texts = found.get(named)
                if texts is None:
                    texts = found[named] = Texts(named, find_meaning(named))
                if value.strip():
                    texts.texts.setdefault(number, value)
                texts.n_longer_lists += n_longer > 0
                texts.long_list = texts.long_list or long_list
            elif len(path) < _MAX_DEPTH:
                if isinstance(value, dict):
                    left += [
                        (item, (*path, key), n_longer, long_list)
                        for key, item in reversed(value.items())
                        if key and '"' not in key
                    ]
                elif isinstance(value, list) and value:
                    is_longer = len(value) > 1
                    if is_longer and isinstance(value[0], dict):
                        long_list = long_list or path
                    left.append((value[0], (*path, 0), n_longer + is_longer, long_list))
    return list(found.values())


def choose_texts(texts: Iterable[Texts], *, is_answer: bool, is_cleaned: bool) -> Choice:
    """Choose the texts that hold the queries.

    Args:
        texts: All texts of the first rows.
        is_answer: Whether a model's answers are looked for, or the queries of a data set.
        is_cleaned: Whether the texts are cleaned when they are read.

    Raises:
        UnclearError: No texts are SQL, or it cannot be told which are meant.
    """
    judged = [one for one in texts if one.texts]
    for one in judged:
        # Prompts contain SQL, but none of it is an answer.
        one.judge(is_cleaned and one.meaning not in (Meaning.PROMPT, Meaning.REFERENCE))
    taken = _choose_answers(judged) if is_answer else _choose_queries(judged)
    others = tuple(
        one
        for one in judged
        if one is not taken and one.n_queries and one.share >= _MIN_SHARE and not _agree(one, taken)
    )
    return Choice(taken, others, is_cleaned)


def _choose_queries(judged: list[Texts]) -> Texts:
    good = [one for one in judged if one.share >= _MIN_SHARE]
    # A schema, under whatever name, is not what a data set asks for.
    good = [one for one in good if one.n_queries] or good
    if not good:
        raise UnclearError("found no SQL")

    def rank(one: Texts) -> tuple[object, ...]:
        return (
            _OF_DATA_SET[one.meaning],
            -round(one.n_sql / max(len(one.texts) for one in good), 1),
            one.meaning is not Meaning.REFERENCE,
            len(one.path),
        )

    return min(good, key=rank)


def _choose_answers(judged: list[Texts]) -> Texts:
    by_level: dict[int, list[Texts]] = {}
    for one in judged:
        if one.meaning in _OF_MODEL and (one.n_sql or one.meaning is not Meaning.TEXT):
            by_level.setdefault(_OF_MODEL[one.meaning], []).append(one)
    level = min(by_level, default=2)
    named = by_level.get(level, [])
    good = [one for one in named if one.share >= _MIN_SHARE]
    if level < 2:
        # A model may fail to write SQL most of the time.
        good = good or [one for one in named if one.n_sql]
    else:
        good = [one for one in good if one.n_queries] or good
    if not good:
        raise _explain_failure(judged, named if level < 2 else [])
    if level == 2 and any(not _agree(one, good[0]) for one in good[1:]):
        names = [one.name for one in good]
        listed = " and ".join(f"'{name}'" for name in names[:_N_SHOWN])
        raise UnclearError(f"found SQL in {listed}, and which is the model's cannot be told", names)
    return min(good, key=lambda one: (one.meaning is Meaning.RESPONSE, -one.share, len(one.path)))


def _explain_failure(judged: list[Texts], answers: list[Texts]) -> UnclearError:
    with_sql = [one for one in judged if one.n_queries and one.share >= _MIN_SHARE]
    if not with_sql:
        return UnclearError("found no SQL")
    listed = ", ".join(f"'{one.name}' ({_explain(one)})" for one in with_sql[:_N_SHOWN])
    why = ""
    if answers:
        why = f", although '{answers[0].name}' should hold the answers"
    return UnclearError(
        f"found SQL only in {listed}{why}", [one.name for one in (*answers, *with_sql)]
    )


def _explain(one: Texts) -> str:
    return one.meaning.value if one.meaning is not Meaning.OTHER else f"{one.share:.0%} SQL"


def _agree(one: Texts, other: Texts) -> bool:
    """Tell whether two columns have the same texts."""
    shared = one.texts.keys() & other.texts.keys()
    return bool(shared) and all(
        one.texts[row].strip() == other.texts[row].strip() for row in shared
    )
