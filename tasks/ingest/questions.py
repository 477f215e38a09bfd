"""Answers and their questions: joined by id, and weighted where a question has several answers."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, Self

import duckdb
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.connections import connected
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.warehouse.facts import recall
from nl2sql_align.tasks.warehouse.folder import Warehouse, write_atomically

ARRANGEMENT_VERSION: Final = 3
"""Raise it with every change that can alter the arranged queries of the same dumps."""

SLICES_VERSION: Final = 1
"""Raise it with every change that can alter the slices of the same dump."""

NUMBERED_FORMATS: Final = frozenset({"bird_predictions"})
"""The formats whose ids are the numbers of the questions, from 0."""

BY_ORDER: Final = "the answers are taken in the order of the file"
"""The note on answers that could not be joined to their questions."""

LARGEST_WEIGHT: Final = math.lcm(*range(1, 17))
"""The largest weight of a question, divisible by all numbers of answers up to 16. If a larger one
would be needed, weights are rounded."""

# Keys of the metadata of arranged queries.
_QUESTION_WEIGHT: Final = b"question_weight"
_FREQUENCIES: Final = b"has_frequencies"

_COMPLETE_SHARE: Final = 2 / 3
_KNOWN_SHARE: Final = 1 / 2
# More questions with one text are turns of conversations, whose order says which is which.
_REPEATED_SHARE: Final = 1 / 20
_ROWS_PER_BATCH: Final = 1 << 14

Way = Literal["id", "number", "order", "question", "question_in_database", "alone", "rows"]
"""How the questions of answers are found; see ``sql/ingest/answered_questions.sql``."""


@dataclass(frozen=True)
class Arrangement:
    """How the answers of a dump belong to questions.

    Attributes:
        way: How their questions are found.
        first_number: For ids that are numbers of questions: the number of the first one.
        is_partial: Whether they answer a part of the target only. Otherwise the answers that are
            missing are empty ones.
        notes: Notes on it for the user, a line each, without the corpus's name.
    """

    way: Way
    first_number: int = 0
    is_partial: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_joined(self) -> bool:
        """Whether the questions are those of the target."""
        return self.way not in ("alone", "rows")

    def as_dict(self) -> dict[str, Any]:
        """Return the arrangement as values that JSON can hold."""
        return {**asdict(self), "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the arrangement that ``as_dict`` described."""
        return cls(**{**values, "notes": tuple(values["notes"])})


@dataclass(frozen=True)
class _Ids:
    """The row of ``sql/ingest/compare_ids.sql``."""

    n_rows: int
    n_ids: int
    n_known: int
    example_unknown: str | None
    n_question_ids: int
    n_repeated: int
    example_repeated: str | None
    example_known: str | None
    least_number: int | None
    largest_number: int | None
    n_without_id: int
    n_questions: int


@dataclass(frozen=True)
class _Texts:
    """The row of ``sql/ingest/compare_questions.sql``."""

    n_rows: int
    n_known: int
    n_moved: int
    n_repeated: int
    n_unclear: int
    n_answered: int
    n_questions: int

    @property
    def are_enough(self) -> bool:
        """Whether the question of each answer is clear by its text."""
        is_clear = self.n_known == self.n_rows and not self.n_unclear
        return is_clear and self.n_repeated <= _REPEATED_SHARE * self.n_rows


def has_ids(queries: Path) -> bool:
    """Return whether an ingested dump gives the id of any query."""
    return _has_values(queries, "id")


def has_databases(queries: Path) -> bool:
    """Return whether an ingested dump gives the database of any query."""
    return _has_values(queries, "db_id")


def has_question_texts(queries: Path) -> bool:
    """Return whether an ingested dump gives the text of any question."""
    return _has_values(queries, "question")


def has_question_ordinals(queries: Path) -> bool:
    """Return whether some queries have the question of an earlier query, or one of the target."""
    return _has_values(queries, "question_ordinal")


def has_frequencies(queries: Path) -> bool:
    """Return whether any question of some queries was asked several times, from the footer."""
    metadata = pq.read_metadata(queries)
    if _QUESTION_WEIGHT in (metadata.metadata or {}):
        return _FREQUENCIES in metadata.metadata
    column = metadata.schema.names.index("n_occurrences")
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    statistics = [group.column(column).statistics for group in groups]
    return any(one is None or not one.has_min_max or one.max > 1 for one in statistics)


def count_questions(queries: Path) -> int:
    """Return the number of different questions of some queries."""
    if not has_question_ordinals(queries):
        return int(pq.read_metadata(queries).num_rows)
    with connected() as con:
        [(n_questions,)] = query_sql(con, "ingest/count_questions", queries=str(queries)).fetchall()
        return int(n_questions)


def recall_questions(queries: Path, warehouse: Warehouse) -> int:
    """Return the number of different questions of a stage file of queries, counted once."""
    if not has_question_ordinals(queries):
        return count_questions(queries)  # the footer has it
    return int(recall(warehouse, "n_questions", queries, count_questions))


def find_arrangement(
    queries: Path,
    target: Path | None,
    target_name: str = "",
    are_numbers: bool = False,
    *,
    counts_rows: bool = False,
    shows_ids: bool = True,
    is_weighted: bool = False,
) -> Arrangement:
    """Return how answers belong to the questions of their target.

    Args:
        queries: The answers, as ingested.
        target: The queries of their target, if it can be read.
        target_name: The name of the target, for notes.
        are_numbers: Whether the ids are the numbers of the questions, from 0, by the format.
        counts_rows: Whether the ids of one of both, or those of each, count its rows, so that equal
            ids may belong to different questions.
        shows_ids: Whether notes may have ids as examples.
        is_weighted: Whether the questions have frequencies, so that answers in their order are
            arranged, too.
    """
    if target is None:
        return Arrangement("alone" if has_ids(queries) else "rows")
    found = _find_way(
        queries,
        target,
        target_name,
        are_numbers,
        counts_rows=counts_rows,
        shows_ids=shows_ids,
    )
    if not is_weighted or has_frequencies(queries):
        return found
    if found.way == "rows" and count_questions(queries) == count_questions(target):
        found = replace(found, way="order")
    if not found.is_joined:
        note = (
            f"the questions of {target_name} have frequencies, but its answers count once each: "
            "which of them answers which question is not known"
        )
        return replace(found, notes=(*found.notes, note))
    note = f"its answers count as often as the questions of {target_name}, which have frequencies"
    return replace(found, notes=(*found.notes, note))


def _find_way(
    queries: Path,
    target: Path,
    target_name: str,
    are_numbers: bool,
    *,
    counts_rows: bool,
    shows_ids: bool,
) -> Arrangement:
    """Return the arrangement of answers whose target can be read; see ``find_arrangement``."""
    if has_ids(queries):
        with connected() as con:
            found = query_sql(con, "ingest/compare_ids", queries=str(queries), target=str(target))
            ids = _Ids(**dict(zip(found.columns, found.fetchall()[0], strict=True)))
        if not shows_ids:
            ids = replace(ids, example_unknown="...", example_repeated="...", example_known="...")
        choose = _number_questions if are_numbers else _choose_way
        arrangement = (_number_rows if counts_rows else choose)(ids, target_name)
    else:
        is_same = count_questions(queries) == count_questions(target)
        arrangement = Arrangement("order" if is_same else "rows")
    if arrangement.way in ("id", "number"):
        return arrangement
    if not (has_question_texts(queries) and has_question_texts(target)):
        return arrangement
    with connected() as con:
        return _compare_texts(con, queries, target, arrangement, target_name)


def _compare_texts(
    con: duckdb.DuckDBPyConnection,
    queries: Path,
    target: Path,
    by_order: Arrangement,
    target_name: str,
) -> Arrangement:
    """Return the arrangement by the texts of questions if these show that the order is another.

    If their texts do not tell all questions apart, it is the given arrangement, with a note.
    """
    ways: tuple[Way, ...] = ("question_in_database", "question")
    for way in ways:
        run_sql(con, "ingest/question_keys", queries=str(queries), target=str(target), way=way)
        found = query_sql(con, "ingest/compare_questions")
        texts = _Texts(**dict(zip(found.columns, found.fetchall()[0], strict=True)))
        if texts.n_moved and texts.are_enough:
            keys = "texts" if way == "question" else "texts and databases"
            note = (
                f"no ids name the questions of {target_name}, and {texts.n_moved:,} of its "
                f"{texts.n_rows:,} rows are in other places: they are joined by the {keys} of "
                "their questions"
            )
            if texts.n_repeated:
                note += f", and {texts.n_repeated:,} that share these by their order"
            joined = Arrangement(way, notes=(note,))
            return _complete(joined, texts.n_answered, texts.n_questions, target_name)
    if not texts.n_moved:
        return by_order
    doubt = (
        f"{texts.n_moved:,} of its {texts.n_rows:,} rows have the questions of other rows of "
        f"{target_name}, which their texts do not all tell apart: {BY_ORDER}, and may be compared "
        "with other questions; name columns.id of both, or bring both into one order"
    )
    return replace(by_order, notes=(*by_order.notes, doubt))


def _number_questions(ids: _Ids, target: str) -> Arrangement:
    if ids.largest_number is None or ids.largest_number >= ids.n_questions:
        return _choose_way(ids, target)  # these ids are not numbers of the questions
    if ids.n_rows == ids.n_questions == ids.largest_number + 1:
        return Arrangement("rows")  # in order already
    return _complete_ids(Arrangement("number"), ids, ids.n_ids, target)


def _number_rows(ids: _Ids, target: str) -> Arrangement:
    """Return the arrangement by ids that are the numbers of rows, if they can be nothing else."""
    first = _find_first_number(ids)
    # Tables that were put together may count the rows of each of them.
    is_repeated = ids.n_ids < ids.n_rows == ids.n_questions
    if first is None or is_repeated or ids.n_without_id:
        note = (
            f"its ids or those of {target} count rows (index, idx), and do not tell which question "
            f"of {target} is which: {BY_ORDER}; name columns.id of both"
        )
        return Arrangement("rows", notes=(note,))
    note = f"its ids are taken as the numbers of the questions of {target}, from {first}"
    return _complete_ids(Arrangement("number", first, notes=(note,)), ids, ids.n_ids, target)


def _choose_way(ids: _Ids, target: str) -> Arrangement:
    way: Way = "alone" if ids.n_rows > ids.n_ids + ids.n_without_id else "rows"
    if ids.n_without_id > _KNOWN_SHARE * ids.n_rows:
        missing = f"{ids.n_without_id:,} of its {ids.n_rows:,} rows have no id"
        return Arrangement(way, notes=(f"{missing}: {BY_ORDER}; check columns.id",))
    if not ids.n_question_ids:
        first = _find_first_number(ids)
        if first is None:
            return Arrangement(
                way,
                notes=(
                    f"has ids, but the questions of {target} have none: {BY_ORDER}; name the ids "
                    f"of {target} in its columns",
                ),
            )
        notes = (f"its ids are taken as the numbers of the questions of {target}, from {first}",)
        return _complete_ids(Arrangement("number", first, notes=notes), ids, ids.n_ids, target)
    if ids.n_repeated:
        return Arrangement(
            way,
            notes=(
                f"{ids.n_repeated:,} ids of {target} belong to several questions (such as "
                f"'{_shorten(ids.example_repeated)}'): {BY_ORDER}; name other ids in the columns "
                f"of {target}",
            ),
        )
    if ids.n_known < _KNOWN_SHARE * ids.n_ids:
        return Arrangement(
            way,
            notes=(
                f"{ids.n_ids - ids.n_known:,} of its {ids.n_ids:,} ids (such as "
                f"'{_shorten(ids.example_unknown)}') are not ids of {target} (such as "
                f"'{_shorten(ids.example_known)}'): {BY_ORDER}; check columns.id of both",
            ),
        )
    return _complete_ids(Arrangement("id"), ids, ids.n_known, target)


def _complete_ids(arrangement: Arrangement, ids: _Ids, n_answered: int, target: str) -> Arrangement:
    """Return the arrangement with its notes, for this number of answered questions."""
    notes = list(arrangement.notes)
    if n_unknown := ids.n_ids - n_answered:
        notes.append(
            f"{n_unknown:,} of its ids (such as '{_shorten(ids.example_unknown)}') are not ids of "
            f"{target}: their answers are left out"
        )
    if ids.n_without_id:
        notes.append(f"{ids.n_without_id:,} of its rows have no id: they are left out")
    return _complete(replace(arrangement, notes=tuple(notes)), n_answered, ids.n_questions, target)


def _complete(
    arrangement: Arrangement, n_answered: int, n_questions: int, target: str
) -> Arrangement:
    """Return the arrangement with a note on the questions without an answer."""
    notes = list(arrangement.notes)
    n_missing = n_questions - n_answered
    is_partial = n_answered < _COMPLETE_SHARE * n_questions
    if is_partial:
        notes.append(
            f"answers {n_answered:,} of the {n_questions:,} questions of {target}, and is "
            "compared with these"
        )
    elif n_missing:
        notes.append(
            f"answers to {n_missing:,} of the {n_questions:,} questions of {target} are "
            "missing, and count as empty ones"
        )
    return replace(arrangement, is_partial=is_partial, notes=tuple(notes))


def _find_first_number(ids: _Ids) -> int | None:
    """Return 0 or 1 if the ids can only be numbers of the questions from there, else None."""
    if ids.least_number is None or ids.largest_number is None:
        return None
    firsts = [
        first
        for first in (0, 1)
        if first <= ids.least_number and ids.largest_number < ids.n_questions + first
    ]
    return firsts[0] if len(firsts) == 1 else None


def write_arranged(
    queries: Path,
    target: Path | None,
    arrangement: Arrangement,
    destination: Path,
    only_first: bool = False,
    largest_weight: int = LARGEST_WEIGHT,
) -> None:
    """Write the answers in the order of their questions, all to one question with one weight.

    The weights are integers: if some questions have two answers and others three, each of these
    counts two times and each of those three times. The file's metadata has the weight of a
    question. If the questions of a target have frequencies, and the answers have none of their own,
    an answer counts as many times more.

    Args:
        queries: The answers, as ingested.
        target: The queries of the target, if the answers are joined to it.
        arrangement: How the answers belong to questions.
        destination: The file to write, with the columns of ``queries``.
        only_first: Keep the first answer to each question only.
        largest_weight: The largest weight of a question; see ``choose_weight``.
    """
    files = {"queries": str(queries), "target": str(target or queries)}
    with connected() as con, pq.ParquetFile(queries) as file:
        run_sql(con, "ingest/question_keys", **files, way=arrangement.way)
        run_sql(
            con,
            "ingest/answered_questions",
            **files,
            way=arrangement.way,
            first_number=arrangement.first_number,
            only_first=only_first,
            with_missing=arrangement.is_joined and not arrangement.is_partial,
        )
        weight = choose_weight([n for (n,) in _count_answers(con)], largest_weight)
        asked = target if target is not None and arrangement.is_joined else queries
        asked_weight = (pq.read_metadata(asked).metadata or {}).get(_QUESTION_WEIGHT)
        query_sql(
            con,
            "ingest/question_frequencies",
            target=str(asked),
            question_weight=asked_weight and int(asked_weight),
        ).create_view("frequencies")
        arranged = query_sql(
            con,
            "ingest/arranged_queries",
            queries=str(queries),
            takes_frequencies=arrangement.is_joined and not has_frequencies(queries),
            question_weight=weight,
            by_text=arrangement.is_joined and arrangement.way != "order",
        ).to_arrow_reader(_ROWS_PER_BATCH)
        metadata = {**(file.metadata.metadata or {}), _QUESTION_WEIGHT: str(weight).encode()}
        if has_frequencies(asked):
            metadata[_FREQUENCIES] = b"true"
        schema = file.schema_arrow.with_metadata(
            {key: value for key, value in metadata.items() if key != b"ARROW:schema"}
        )
        with pq.ParquetWriter(destination, schema, compression="zstd") as writer:
            for batch in arranged:
                writer.write_batch(batch.cast(schema))


def digest_questions(queries: Path) -> str:
    """Return a digest of the questions that arranged answers belong to."""
    questions = pq.read_table(queries, columns=["question_ordinal"])["question_ordinal"]
    ordinals = sorted(set(questions.to_pylist()))
    return hashlib.sha256(",".join(map(str, ordinals)).encode()).hexdigest()


def write_part(answers: Path, target: Path, destination: Path) -> None:
    """Write the queries of a target whose questions some arranged answers belong to."""
    with connected() as con, write_atomically(destination) as temporary:
        query_sql(
            con, "ingest/answered_part", answers=str(answers), target=str(target)
        ).write_parquet(str(temporary), compression="zstd")


def write_slices(queries: Path, destination: Path, *, shows_names: bool = True) -> None:
    """Write the slice of each question: ``question``, its ordinal, and ``slice``, or null.

    Args:
        queries: The queries of a target, with slices as their parts.
        destination: The file to write.
        shows_names: Whether slices keep their names, or get numbers.
    """
    with connected() as con, write_atomically(destination) as temporary:
        query_sql(
            con, "ingest/slices", queries=str(queries), shows_names=shows_names
        ).write_parquet(str(temporary), compression="zstd")


def choose_weight(numbers: Sequence[int], largest: int) -> int:
    """Return the weight of a question that gives each of its answers an integer weight.

    Args:
        numbers: The different numbers of answers to a question.
        largest: The largest weight. If a larger one is needed, weights are rounded.
    """
    weight = math.lcm(*numbers)
    return weight if weight <= largest else largest


def _count_answers(con: duckdb.DuckDBPyConnection) -> list[tuple[int]]:
    return query_sql(con, "ingest/answers_per_question").fetchall()


def _has_values(queries: Path, name: str) -> bool:
    """Return whether a column has any value, from the file's statistics."""
    metadata = pq.read_metadata(queries)
    column = metadata.schema.names.index(name)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    statistics = [(group, group.column(column).statistics) for group in groups]
    return any(one is None or one.null_count != group.num_rows for group, one in statistics)


def _shorten(text: str | None, longest: int = 40) -> str:
    text = " ".join((text or "").split())
    return text if len(text) <= longest else f"{text[:longest]}..."
