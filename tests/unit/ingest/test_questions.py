"""How answers belong to the questions of their target."""

import polars as pl
import pytest

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.ingest.questions import (
    LARGEST_WEIGHT,
    Arrangement,
    choose_weight,
    count_questions,
    find_arrangement,
    has_frequencies,
    write_arranged,
)

SCHEMA = {
    "ordinal": pl.Int64,
    "sql": pl.String,
    "raw_sql": pl.String,
    "db_id": pl.String,
    "question": pl.String,
    "n_occurrences": pl.Int64,
    "id": pl.String,
    "question_ordinal": pl.Int64,
    "part": pl.String,
    "reject_reason": pl.String,
}


@pytest.fixture(autouse=True)
def few_instances(tmp_path):
    with bounded(1, None, tmp_path):
        yield


def write(path, ids, texts=None, questions=None, asked=None, databases=None, counts=None):
    """Write an ingested file with these ids, queries, ordinals, texts, and databases."""
    n = len(ids)
    texts = texts or [f"select {number}" for number in range(n)]
    rows = {
        "ordinal": range(n),
        "sql": texts,
        "raw_sql": texts,
        "db_id": databases or [None] * n,
        "question": asked or [None] * n,
        "n_occurrences": counts or [1] * n,
        "id": ids,
        "question_ordinal": questions or [None] * n,
        "part": [None] * n,
        "reject_reason": [None] * n,
    }
    pl.DataFrame(rows, schema=SCHEMA).write_parquet(path)
    return path


def find(folder, answers, asked, **questions):
    return find_arrangement(
        write(folder / "answers.parquet", answers),
        write(folder / "asked.parquet", asked, questions=questions.get("of_asked")),
        "dev",
    )


def arrange(folder, arrangement, target="asked.parquet", **keys):
    destination = folder / "arranged.parquet"
    asked = folder / target if target else None
    write_arranged(folder / "answers.parquet", asked, arrangement, destination, **keys)
    rows = pl.read_parquet(destination)
    assert rows["ordinal"].to_list() == list(range(len(rows)))
    return list(rows.select("question_ordinal", "id", "sql", "n_occurrences").iter_rows())


NONE = [None] * 4


@pytest.mark.parametrize(
    ("answers", "asked", "expected"),
    [
        (list("bad"), list("abd"), Arrangement("id")),
        (list("ba"), list("abd"), Arrangement("id")),  # two thirds
        (list("aabb"), list("abdef"), Arrangement("id", is_partial=True)),
        (list("abx"), list("abcdef"), Arrangement("id", is_partial=True)),
        (list("abxyz"), list("abcd"), Arrangement("rows")),  # most are unknown
        (list("axyzx"), list("abcd"), Arrangement("alone")),
        (list("abcd"), list("abcc"), Arrangement("rows")),  # an id of two questions
        (["3", "0", "1", "2"], NONE, Arrangement("number", 0)),
        (["3", "4", "1", "2"], NONE, Arrangement("number", 1)),
        (["0", "1"], NONE, Arrangement("number", 0, is_partial=True)),
        (["1", "2"], NONE, Arrangement("rows")),  # from 0 or from 1
        (["1", "5"], NONE, Arrangement("rows")),
        (["0", "4"], NONE, Arrangement("rows")),
        (["0", "0"], NONE, Arrangement("number", 0, is_partial=True)),
        (["7", "7"], NONE, Arrangement("alone")),
        (["0", "one"], NONE, Arrangement("rows")),
        (["0", "1.5"], NONE, Arrangement("rows")),
        (["0", "9" * 30], NONE, Arrangement("rows")),
        (NONE, list("abcd"), Arrangement("order")),
        (NONE, list("abc"), Arrangement("rows")),
    ],
)
def test_the_questions_are_found_where_ids_allow_it(tmp_path, answers, asked, expected):
    found = find(tmp_path, answers, asked)
    assert (found.way, found.first_number) == (expected.way, expected.first_number)
    assert found.is_partial == expected.is_partial


@pytest.mark.parametrize(
    ("answers", "asked", "notes"),
    [
        (list("ab"), list("ab"), []),
        (
            list("acd"),
            list("acc"),
            [
                "1 ids of dev belong to several questions (such as 'c'): the answers are taken in "
                "the order of the file; name other ids in the columns of dev"
            ],
        ),
        (
            ["r 1", "r 2"],
            ["1", "2"],
            [
                "2 of its 2 ids (such as 'r 1') are not ids of dev (such as '1'): the answers are "
                "taken in the order of the file; check columns.id of both"
            ],
        ),
        (
            ["r1"],
            [None],
            [
                "has ids, but the questions of dev have none: the answers are taken in the order "
                "of the file; name the ids of dev in its columns"
            ],
        ),
        (
            ["1", "0"],
            [None, None],
            ["its ids are taken as the numbers of the questions of dev, from 0"],
        ),
        (
            ["a", None, "x"],
            ["a"],
            [
                "1 of its ids (such as 'x') are not ids of dev: their answers are left out",
                "1 of its rows have no id: they are left out",
            ],
        ),
        (
            [None, None, "c"],
            list("abc"),
            [
                "2 of its 3 rows have no id: the answers are taken in the order of the file; check "
                "columns.id"
            ],
        ),
        (
            list("abd"),
            list("abcd"),
            ["answers to 1 of the 4 questions of dev are missing, and count as empty ones"],
        ),
        (
            list("a"),
            list("abcd"),
            ["answers 1 of the 4 questions of dev, and is compared with these"],
        ),
    ],
)
def test_unclear_ids_are_reported(tmp_path, answers, asked, notes):
    assert list(find(tmp_path, answers, asked).notes) == notes


@pytest.mark.parametrize(
    ("answers", "asked", "expected"),
    [
        (["0", "1"], ["471", "0"], Arrangement("rows")),  # all of them, in order
        (["0", "2"], ["471", "0", "1"], Arrangement("number")),
        (["1"], NONE, Arrangement("number", is_partial=True)),
        (["0", "4"], NONE, Arrangement("rows")),
        (["471", "0"], ["471", "0", "9"], Arrangement("id")),
    ],
)
def test_ids_that_are_numbers_by_their_format_are_not_compared(tmp_path, answers, asked, expected):
    files = (
        write(tmp_path / "answers.parquet", answers),
        write(tmp_path / "asked.parquet", asked),
    )
    found = find_arrangement(*files, "dev", are_numbers=True)
    assert (found.way, found.is_partial) == (expected.way, expected.is_partial)


def test_long_ids_are_shortened_in_notes(tmp_path):
    [note] = find(tmp_path, ["x\n" * 1000], ["a"]).notes
    assert len(note) < 250
    assert "\n" not in note


def test_answers_get_the_order_of_the_questions(tmp_path):
    found = find(tmp_path, ["d", "x", "a", None, "b"], list("abcd"))
    assert arrange(tmp_path, found) == [
        (0, "a", "select 2", 1),
        (1, "b", "select 4", 1),
        (2, "c", "", 1),
        (3, "d", "select 0", 1),
    ]


def test_a_part_has_no_empty_answers(tmp_path):
    found = find(tmp_path, ["d"], list("abcd"))
    assert arrange(tmp_path, found) == [(3, "d", "select 0", 1)]


def test_the_order_of_several_answers_depends_on_their_texts_only(tmp_path):
    found = find(tmp_path, list("abaa"), list("ab"))
    expected = [
        (0, "a", "select 0", 1),
        (0, "a", "select 2", 1),
        (0, "a", "select 3", 1),
        (1, "b", "select 1", 3),
    ]
    assert arrange(tmp_path, found) == expected
    texts = ["select 3", "select 2", "select 1", "select 0"]
    write(tmp_path / "answers.parquet", list("aaba"), texts)
    assert arrange(tmp_path, found) == expected


def test_the_first_answer_is_the_first_of_the_file(tmp_path):
    found = find(tmp_path, list("ab"), list("ab"))
    write(tmp_path / "answers.parquet", list("aba"), ["select 3", "select 2", "select 1"])
    assert arrange(tmp_path, found, only_first=True) == [
        (0, "a", "select 3", 1),
        (1, "b", "select 2", 1),
    ]


def test_numbers_and_order_find_questions_with_several_accepted_queries(tmp_path):
    """The second question of the target has the ordinal 2, after two queries of the first."""
    asked = {"of_asked": [0, 0, None]}
    by_number = find(tmp_path, ["1", "0"], [None] * 3, **asked)
    assert [row[0] for row in arrange(tmp_path, by_number)] == [0, 2]
    by_order = find(tmp_path, [None, None], [None] * 3, **asked)
    assert by_order.way == "order"
    assert arrange(tmp_path, by_order) == [(0, None, "select 0", 1), (2, None, "select 1", 1)]
    by_id = find(tmp_path, list("cab"), list("aab"), **asked)
    assert [row[:2] for row in arrange(tmp_path, by_id)] == [(0, "a"), (2, "b")]
    assert count_questions(tmp_path / "asked.parquet") == 2


def test_answers_without_a_target_share_questions_by_their_ids(tmp_path):
    write(tmp_path / "answers.parquet", ["a", None, "b", "a"])
    assert find_arrangement(tmp_path / "answers.parquet", None).way == "alone"
    assert arrange(tmp_path, Arrangement("alone"), target=None) == [
        (0, "a", "select 0", 1),
        (0, "a", "select 3", 1),
        (1, None, "select 1", 2),
        (2, "b", "select 2", 2),
    ]


def test_queries_of_one_list_share_a_question_whatever_their_ids(tmp_path):
    write(tmp_path / "answers.parquet", ["a", "a", "a"], questions=[0, 0, None])
    assert arrange(tmp_path, Arrangement("rows"), target=None) == [
        (0, "a", "select 0", 1),
        (0, "a", "select 1", 1),
        (2, "a", "select 2", 2),
    ]


def test_the_weight_of_a_question_is_divisible_by_all_numbers_of_answers():
    assert choose_weight([], LARGEST_WEIGHT) == choose_weight([1], LARGEST_WEIGHT) == 1
    assert choose_weight([5], LARGEST_WEIGHT) == 5
    assert choose_weight([2, 3, 4], LARGEST_WEIGHT) == 12
    assert choose_weight(range(1, 17), LARGEST_WEIGHT) == LARGEST_WEIGHT == 720_720
    assert choose_weight([2, 3, 4], 10) == 10


def test_a_weight_that_is_not_divisible_is_rounded_and_never_zero(tmp_path):
    write(tmp_path / "answers.parquet", list("aabbb"))
    for largest, expected in ((1, [1] * 5), (5, [3, 3, 2, 2, 2]), (6, [3, 3, 2, 2, 2])):
        rows = arrange(tmp_path, Arrangement("alone"), target=None, largest_weight=largest)
        assert [row[3] for row in rows] == expected


def find_by_text(folder, answers, asked, ids=()):
    """Find the arrangement of questions that are written as a database and a letter."""
    files, ids = [], dict(ids)
    for name, given in (("answers", answers), ("asked", asked)):
        texts = [one[-1:] if one else None for one in given]
        databases = [one[:-1] if one else None for one in given]
        path = folder / f"{name}.parquet"
        one_ids = ids.get(name, [None] * len(given))
        files.append(write(path, one_ids, asked=texts, databases=databases))
    return find_arrangement(*files, "dev")


ASKED = ["xa", "xb", "xc", "yd"]


@pytest.mark.parametrize(
    ("answers", "asked", "way"),
    [
        (ASKED, ASKED, "order"),
        (["yd", "xa", "xc", "xb"], ASKED, "question_in_database"),
        (["zd", "za", "zc", "zb"], ASKED, "question"),  # other names of databases
        (["yd", "xa"], ASKED, "question_in_database"),
        (ASKED[:2], ASKED, "rows"),  # in order
        (["xb", "ya"], ["ya", "xa", "xb"], "question_in_database"),
        (["zb", "za"], ["ya", "xa", "xb"], "rows"),  # a question about two databases
        (["yd", "xa", "xc", "xe"], ASKED, "order"),  # one is not of the target
        (["yd", "xa", "xc", None], ASKED, "order"),
        (["xe", "xf", "xg", "xh"], ASKED, "order"),
        (["xb", "xa", "xa"], ["xa", "xa", "xb"], "order"),  # turns of conversations
        (["xb", "xb", "xa"], ["xa", "xb"], "question_in_database"),  # several answers
    ],
)
def test_texts_join_answers_where_they_show_another_order(tmp_path, answers, asked, way):
    assert find_by_text(tmp_path, answers, asked).way == way


def test_answers_that_texts_join_get_the_order_of_the_questions(tmp_path):
    found = find_by_text(tmp_path, [" yd", "xa", "xc", "xb"], ["xa", "xb", "xc", " yd"])
    assert [row[2] for row in arrange(tmp_path, found)] == [
        "select 1",
        "select 3",
        "select 2",
        "select 0",
    ]
    [note] = found.notes
    assert note == (
        "no ids name the questions of dev, and 3 of its 4 rows are in other places: they are "
        "joined by the texts and databases of their questions"
    )


def test_a_few_questions_with_one_text_are_joined_in_their_order(tmp_path):
    asked = [f"x{chr(97 + n)}" for n in range(26)] + [f"y{chr(97 + n)}" for n in range(26)]
    asked[9] = asked[3]
    found = find_by_text(tmp_path, asked[::-1], asked)
    assert found.notes[0].endswith(", and 2 that share these by their order")
    texts = [row[2] for row in arrange(tmp_path, found)]
    assert (texts[3], texts[9], texts[0]) == ("select 42", "select 48", "select 51")


def test_texts_that_do_not_tell_all_questions_apart_are_a_doubt(tmp_path):
    [note] = find_by_text(tmp_path, ["yd", "xa", "xc", "xe"], ASKED).notes
    assert note == (
        "2 of its 4 rows have the questions of other rows of dev, which their texts do not all "
        "tell apart: the answers are taken in the order of the file, and may be compared with "
        "other questions; name columns.id of both, or bring both into one order"
    )


def test_texts_help_where_ids_do_not(tmp_path):
    ids = {"answers": ["r1", "r2", "r3", "r4"], "asked": ["1", "2", "3", "4"]}
    found = find_by_text(tmp_path, ["yd", "xa", "xc", "xb"], ASKED, ids)
    assert (found.way, len(found.notes)) == ("question_in_database", 1)


@pytest.mark.parametrize(
    ("answers", "asked", "way", "first"),
    [
        (["2", "0", "1"], ["1", "2", "3"], "number", 0),  # these ids are not row numbers
        (["3", "2", "1"], ["a", "b", "c"], "number", 1),
        (["2", "1"], ["1", "2", "3"], "rows", 0),  # from 0 or from 1
        (["0", "0", "1"], ["1", "2", "3"], "rows", 0),  # of each of two tables
        (["1", "0"], [None, None], "number", 0),
    ],
)
def test_row_numbers_are_not_compared_with_other_ids(tmp_path, answers, asked, way, first):
    files = (
        write(tmp_path / "answers.parquet", answers),
        write(tmp_path / "asked.parquet", asked),
    )
    found = find_arrangement(*files, "dev", counts_rows=True)
    assert (found.way, found.first_number, len(found.notes)) == (way, first, 1)


def test_several_answers_share_the_frequency_of_their_question(tmp_path):
    answers = write(tmp_path / "answers.parquet", list("baa"))
    asked = write(tmp_path / "asked.parquet", list("abc"), counts=[6, 2, 1])
    assert (has_frequencies(answers), has_frequencies(asked)) == (False, True)
    found = find_arrangement(answers, asked, "dev", is_weighted=True)
    assert found.way == "id"
    assert [(question, n) for question, *_, n in arrange(tmp_path, found)] == [
        (0, 6),
        (0, 6),
        (1, 4),
        (2, 2),
    ]
    assert has_frequencies(tmp_path / "arranged.parquet")


def test_answers_without_known_questions_count_once_with_a_note(tmp_path):
    answers = write(tmp_path / "answers.parquet", [None] * 2)
    asked = write(tmp_path / "asked.parquet", [None] * 3, counts=[6, 2, 1])
    found = find_arrangement(answers, asked, "dev", is_weighted=True)
    assert (found.way, found.notes) == (
        "rows",
        (
            "the questions of dev have frequencies, but its answers count once each: which of them "
            "answers which question is not known",
        ),
    )
