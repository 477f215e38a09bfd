"""Predictions are joined to the questions of their target, and compared with those they answer."""

import json
import math
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.publish import RunRecord, publish
from nl2sql_align.tasks.results.read import matrix
from nl2sql_align.tasks.run import steps
from nl2sql_align.tasks.run.prepare import SharedParts, prepare_corpus
from nl2sql_align.tasks.templates.parser_pool import parse_part, stop_workers
from nl2sql_align.tasks.views.explain import explain
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests import reference

QUESTIONS = {
    "q1": ("select name from boat", "harbour"),
    "q2": ("select name from boat where berth = 1", "harbour"),
    "q3": ("select count(*) from boat group by kind", "staff"),
    "q4": ("select name from crew order by age limit 1", "staff"),
    "q5": ("select a, b from crew join boat on crew.x = boat.x", "fleet"),
    "q6": ("select max(age) from crew", "fleet"),
}
ANSWERS = {
    "q1": "select name from boat",
    "q2": "select name from boat where berth > 1",
    "q3": "select kind, count(*) from boat group by kind",
    "q4": "select name from crew order by age",
    "q5": "select a from crew",
    "q6": "select max(age), min(age) from crew",
}
TRAIN = [sql for sql, _ in QUESTIONS.values()][:4] * 3 + ["select min(age) from crew"]
FENCED = f"Here it is:\n```sql\n{ANSWERS['q4']}\n```"
ORDER = random.Random(1).sample(list(ANSWERS), len(ANSWERS))


def answers(ids, **changed):
    return [{"custom_id": one, "answer": {**ANSWERS, **changed}.get(one)} for one in ids]


# The predictions of the main warehouse, and more keys of their entries.
PREDICTIONS = {
    "in-order": (answers(ANSWERS, q4=FENCED), {}),
    "shuffled": (answers(ORDER, q4=FENCED), {}),
    "empty": (answers(ORDER, q4=""), {}),
    "missing": (
        [*answers(one for one in ORDER if one != "q4"), {"custom_id": "x", "answer": "select 1"}],
        {},
    ),
    "part": (answers(["q3", "q2"]), {}),
    "none-parses": (answers(["q2", "q3"], q2="no", q3="idea"), {}),
    "foreign": ([{"custom_id": f"r-{n}", "answer": a} for n, a in enumerate(ANSWERS.values())], {}),
    "without-ids": ([{"answer": answer} for answer in ANSWERS.values()], {}),
    "several": (
        [
            *answers(ORDER),
            {"custom_id": "q1", "answer": "select kind from boat"},
            {"custom_id": "q1", "answer": "broken ("},
            {"custom_id": "q2", "answer": "select 2"},
        ],
        {},
    ),
    "first": (
        [*answers(["q1"]), {"custom_id": "q1", "answer": "select 2"}, *answers(list(ANSWERS)[1:])],
        {"answers": "first"},
    ),
    "twice": (answers(ORDER) + answers(ANSWERS), {}),
    "listed": (
        [{"custom_id": one, "answer": [ANSWERS[one], "select 2 from boat"]} for one in ORDER],
        {},
    ),
}

KINDS = ("right_template", "other_template", "no_template")


def write_lines(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_dumps(folder, predictions, questions=QUESTIONS):
    """Write the dumps and the corpora file, and return the latter."""
    folder.mkdir()
    write_lines(folder / "train.jsonl", [{"sql": sql} for sql in TRAIN])
    rows = [{"question_id": one, "sql": sql, "db": db} for one, (sql, db) in questions.items()]
    write_lines(folder / "dev.jsonl", rows)
    entries = [
        ("train", "role = 'train'\ncolumns = { sql = 'sql' }"),
        ("dev", "role = 'target'\ncolumns = { sql = 'sql', id = 'question_id', db_id = 'db' }"),
    ]
    for name, (given, keys) in predictions.items():
        write_lines(folder / f"{name}.jsonl", given)
        columns = ", ".join(
            f"{key} = '{column}'"
            for key, column in (("sql", "answer"), ("id", "custom_id"))
            if column in given[0]
        )
        more = [f"{key} = '{value}'" for key, value in keys.items()]
        lines = ["role = 'predictions'", "target = 'dev'", "model = 'm'", *more]
        entries.append((name, "\n".join([*lines, f"columns = {{ {columns} }}"])))
    file = folder / "corpora.toml"
    file.write_text(
        "".join(
            f"[[corpus]]\nname = '{name}'\nformat = 'jsonl'\ndialect = 'sqlite'\n"
            f"path = '{name}.jsonl'\n{lines}\n"
            for name, lines in entries
        )
    )
    return file


def run(corpora: Path, folder: Path):
    """Run all steps of the main job, and return the warehouse and its notes."""
    warehouse, entries = Warehouse(folder), load_corpora(corpora)
    of_name = {entry.name: entry for entry in entries}
    with warehouse.locked(), bounded(None, None, warehouse.scratch):
        prepared = [
            prepare_corpus(entry, warehouse, target=of_name.get(entry.target or ""))
            for entry in entries
        ]
        parts = SharedParts()
        for job in [job for one in prepared for job in parts.add(one)]:
            parse_part(job)
        counted = [steps.count_corpus(one, warehouse) for one in prepared]
        counted = steps.count_answered_parts(counted, warehouse)
        matrix = steps.measure_pairs(counted, warehouse)
        publish(
            warehouse,
            counted,
            matrix.pairs,
            matrix.contributions,
            RunRecord(
                "run",
                datetime(2026, 1, 1, tzinfo=UTC),
                {},
                {"duckdb": "2"},
                notes=[note for one in prepared for note in one.notes],
            ),
            steps.resample_pairs(counted, matrix, warehouse, Resampling(20)),
            steps.measure_as_written(counted, warehouse),
            known_share=2.0,  # make a new database in each run
        )
        notes = [note for one in prepared for note in one.notes]
        notes += steps.collect_notes(counted, warehouse)
        steps.remove_unused_files(counted, warehouse)
        return warehouse, notes


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    try:
        yield run(write_dumps(folder / "dumps", PREDICTIONS), folder / "warehouse")
    finally:
        stop_workers()


@pytest.fixture(scope="module")
def results(made):
    with open_results(made[0].folder) as con:
        yield con


def select(con, query):
    return con.sql(query).fetchall()


def ratio(con, predictions):
    found = con.sql(f"from alignment_ratio where predictions = '{predictions}'").pl()
    return found.row(0, named=True)


RESULTS = (
    "train_alignment predictions_alignment predictions_parsed_share alignment_ratio ci_low ci_high "
    "verdict n_answered alignment_ratio_as_written predictions_ci_low target_ceiling"
).split()


def results_of(con, predictions):
    found = ratio(con, predictions)
    return {name: found[name] for name in RESULTS}


def test_answers_in_any_order_give_the_ratio_of_answers_in_order(results):
    shuffled, in_order = results_of(results, "shuffled"), results_of(results, "in-order")
    assert shuffled == in_order
    assert in_order["alignment_ratio"] != in_order["alignment_ratio_as_written"]
    del in_order["alignment_ratio_as_written"]
    assert in_order.items() <= results_of(results, "without-ids").items()


def test_answers_are_published_in_the_order_of_the_questions(results):
    rows = select(
        results,
        "select ordinal, question_ordinal, id, sql from queries where corpus = 'shuffled'",
    )
    assert [row[:3] for row in rows] == [(n, n, f"q{n + 1}") for n in range(6)]
    assert rows[3][3] == "select name from crew order by age"


def test_a_missing_answer_is_an_empty_one(results, made):
    assert results_of(results, "missing") == results_of(results, "empty")
    assert ratio(results, "missing")["n_answered"] == 6
    rejected = select(
        results,
        "select id, ordinal, raw_sql, reject_reason from queries "
        "where corpus = 'missing' and template_id is null",
    )
    assert rejected == [("q4", 3, None, "empty")]
    notes = [note for note in made[1] if note.startswith("missing: ")]
    assert len(notes) == 2
    assert "answers to 1 of the 6 questions of dev are missing, and count as empty" in notes[1]


def test_answers_with_unknown_ids_are_left_out_with_a_note(results, made):
    assert not select(results, "from queries where corpus = 'missing' and sql = 'select 1'")
    assert any("1 of its ids (such as 'x') are not ids of dev" in note for note in made[1])


def test_answers_with_other_ids_are_taken_in_order_with_a_note(results, made):
    assert results_of(results, "foreign") == results_of(results, "without-ids")
    [note] = [note for note in made[1] if note.startswith("foreign: ")]
    assert "6 of its 6 ids (such as 'r-0') are not ids of dev (such as 'q1')" in note


def test_a_part_is_compared_with_the_questions_that_it_answers(results, made):
    """By hand: the reference's alignments, with the two questions as the whole target."""
    found = ratio(results, "part")
    assert (found["n_answered"], found["n_questions"]) == (2, 6)
    assert found["n_target_units"] == found["n_predictions_units"] == 2
    assert found["is_paired"]
    assert "part: answers 2 of the 6 questions of dev, and is compared with these" in made[1]
    templates = {
        "target": ["SELECT FROM WHERE =", "SELECT COUNT ( * ) FROM GROUP BY"],
        "predictions": ["SELECT FROM WHERE >", "SELECT , COUNT ( * ) FROM GROUP BY"],
        "train": ["SELECT FROM", "SELECT FROM WHERE =", "SELECT COUNT ( * ) FROM GROUP BY"] * 3
        + ["SELECT FROM ORDER BY LIMIT"] * 3
        + ["SELECT MIN ( ) FROM"],
    }
    corpora = {name: reference.Corpus(some, some) for name, some in templates.items()}
    of_train, of_predictions = (
        reference.measures(corpora[name], corpora["target"])["kl_alignment"]
        for name in ("train", "predictions")
    )
    assert found["train_alignment"] == pytest.approx(of_train, abs=1e-9)
    assert found["predictions_alignment"] == pytest.approx(of_predictions, abs=1e-9)
    assert found["alignment_ratio"] == pytest.approx(of_train / of_predictions, abs=1e-9)
    assert found["train_alignment"] != ratio(results, "in-order")["train_alignment"]


def test_the_matrix_names_the_part_that_predictions_answer(made):
    found = {row["source"]: row for row in matrix(made[0].folder).filter(target="dev").to_dicts()}
    assert (found["part"]["n_answered"], found["part"]["n_questions"]) == (2, 6)
    assert (found["in-order"]["n_answered"], found["train"]["n_answered"]) == (None, None)


def test_parts_are_not_published_as_corpora(results):
    names = {"train", "dev", *PREDICTIONS}
    assert {name for (name,) in select(results, "select corpus from corpora")} == names
    for column in ("source", "target"):
        found = select(results, f"select distinct {column} from alignment")
        assert {name for (name,) in found} <= names


def test_answers_that_all_fail_to_parse_have_no_ratio(results):
    assert not select(results, "from alignment_ratio where predictions = 'none-parses'")


def test_each_of_k_answers_weighs_one_kth(results):
    rows = select(
        results,
        "select id, sum(n_occurrences)::int, count(*) from queries where corpus = 'several' "
        "group by id order by id",
    )
    assert rows == [("q1", 6, 3), ("q2", 6, 2), *((f"q{n}", 6, 1) for n in range(3, 7))]
    assert select(
        results,
        "select n_queries, n_templated, n_rows, question_weight from corpora "
        "where corpus = 'several'",
    ) == [(36, 34, 9, 6)]
    found = ratio(results, "several")
    assert found["n_answered"] == 6
    assert found["predictions_parsed_share"] == 34 / 36
    # One of three answers to one of six questions is broken, one of two to another is 'SELECT'.
    shares = dict(
        select(
            results,
            "select feature, share from structural_features "
            "where corpus = 'several' and feature in ('grouping', 'aggregate')",
        )
    )
    assert shares["grouping"] == 6 / 34


def errors_of(results, predictions):
    query = (
        "select kind, feature, n_answers, share, target from answer_errors where predictions = "
        f"'{predictions}'"
    )
    found = {(kind, feature): (n, share) for kind, feature, n, share, _ in select(results, query)}
    assert {row[-1] for row in select(results, query)} <= {"dev"}
    return found


def test_wrong_structures_of_answers_are_counted(results):
    expected = {
        ("right_template", None): (1, 1 / 6),
        ("other_template", None): (5, 5 / 6),
        ("same_structures", None): (2, 2 / 6),  # another comparison, another column
        **{
            ("lacks", feature): (1, 1 / 6)
            for feature in ("row_limit", "ordering_with_limit", "joins", "plain_join", "predicates")
        },
        ("adds", "aggregate"): (1, 1 / 6),
    }
    for name in ("in-order", "shuffled", "without-ids", "foreign"):
        assert errors_of(results, name) == expected, name
    # q4 is empty, or missing: no template, and nothing that it lacks.
    for name in ("empty", "missing"):
        found = errors_of(results, name)
        assert found["no_template", None] == (1, 1 / 6), name
        assert found["other_template", None] == (4, 4 / 6), name
        assert ("lacks", "row_limit") not in found, name


def test_a_part_of_the_answers_is_judged_on_its_own_questions(results):
    assert errors_of(results, "part") == {
        ("other_template", None): (2, 1.0),
        ("same_structures", None): (2, 1.0),
    }


def test_several_answers_to_a_question_count_as_one(results):
    found = errors_of(results, "several")
    # One of the three answers to q1 is broken; the others have its template.
    assert found["no_template", None] == (1, pytest.approx(1 / 18))
    assert found["right_template", None] == (2, pytest.approx(2 / 18))
    assert sum(found[kind, None][1] for kind in KINDS) == pytest.approx(1)


def test_the_share_of_right_templates_is_that_of_the_ratio(results):
    rows = select(
        results,
        "select distinct predictions, right_template_share from alignment_ratio "
        "where right_template_share is not null",
    )
    assert len(rows) > 3
    for predictions, share in rows:
        found = errors_of(results, predictions).get(("right_template", None), (0, 0.0))
        assert found[1] == share, predictions


def test_answers_repeated_as_a_whole_change_nothing(results):
    once, twice = results_of(results, "without-ids"), results_of(results, "twice")
    for name, value in once.items():
        same = math.isclose(twice[name], value, abs_tol=1e-12) if isinstance(value, float) else None
        assert same or twice[name] == value, name
    assert select(
        results, "select n_queries, question_weight from corpora where corpus = 'twice'"
    ) == [(12, 2)]


def test_the_first_answer_counts_where_the_corpora_file_says_so(results):
    assert results_of(results, "first") == results_of(results, "without-ids")
    assert select(results, "select count(*) from queries where corpus = 'first'") == [(6,)]


def test_a_list_of_answers_is_several_answers(results):
    rows = select(
        results,
        "select question_ordinal, n_occurrences from queries where corpus = 'listed' "
        "order by ordinal",
    )
    assert rows == [(n, 1) for n in range(6) for _ in range(2)]
    assert select(
        results, "select n_queries, question_weight from corpora where corpus = 'listed'"
    ) == [(12, 2)]


# Their results depend on the order of the rows.
BY_ORDER = ("foreign", "without-ids", "first")
# Columns that name or time a dump or a run, and may differ for a shuffled file.
NOT_RESULTS = {"digest", "path", "ingested_at", "corpora_digests", "finished_at", "results_key"}


def read_tables(warehouse):
    """Return the rows of all tables but those that grow with each run."""
    tables = {}
    with open_results(warehouse.folder) as con:
        for (table,) in select(con, "select table_name from duckdb_tables()"):
            if table == "runs" or table.endswith("_history"):
                continue
            kept = [name for name in con.table(table).columns if name not in NOT_RESULTS]
            columns = ", ".join(f'"{name}"' for name in kept)
            rows = con.sql(f"select {columns} from {table}").fetchall()
            tables[table] = [
                [
                    Path(value).name if isinstance(value, str) and "/warehouse/" in value else value
                    for value in row
                ]
                for row in rows
            ]
        tables["ngram_counts"] = select(con, "from ngram_counts order by all")
    return tables


def test_a_second_run_reuses_all_stage_files(made):
    warehouse, notes = made
    files = {path: path.stat().st_mtime_ns for path in warehouse.stage_files()}
    corpora = warehouse.folder.parent / "dumps" / "corpora.toml"
    _, again = run(corpora, warehouse.folder)
    assert again == notes
    assert {path: path.stat().st_mtime_ns for path in warehouse.stage_files()} == files


def test_arranged_answers_that_are_gone_are_arranged_again(made):
    warehouse, notes = made
    before, files = read_tables(warehouse), set(warehouse.stage_files())
    facts = [*warehouse.facts.glob("*.arrangement-*.json")]
    gone = {
        warehouse.queries_file(json.loads(fact.read_text())["value"]["queries"]) for fact in facts
    }
    assert len(gone) > 1
    for queries in gone:
        queries.unlink()
    _, again = run(warehouse.folder.parent / "dumps" / "corpora.toml", warehouse.folder)
    assert again == notes
    assert set(warehouse.stage_files()) == files
    assert read_tables(warehouse) == before


def test_shuffling_the_rows_of_predictions_changes_no_table(made):
    warehouse, notes = made
    before = read_tables(warehouse)
    files = set(warehouse.stage_files())
    mixed = {
        name: (rows[::-1], keys)
        for name, (rows, keys) in PREDICTIONS.items()
        if name not in BY_ORDER
    }
    dumps = warehouse.folder.parent / "dumps"
    shutil.rmtree(dumps)
    _, again = run(write_dumps(dumps, {**PREDICTIONS, **mixed}), warehouse.folder)
    assert again == notes
    after = read_tables(warehouse)
    assert after.keys() == before.keys()
    for table, rows in after.items():
        assert rows == before[table], table
    # Other files as ingested, but the same ones from there on.
    changed = files ^ set(warehouse.stage_files())
    assert {path.parent.name for path in changed} == {"queries"}


def test_answers_in_another_order_are_joined_by_their_questions_or_row_numbers(tmp_path):
    """The answers without ids give the results of answers with ids."""
    order = dict(zip(ANSWERS, range(len(ANSWERS)), strict=True))
    predictions = {
        "by-id": [{"question_id": one, "answer": ANSWERS[one]} for one in ORDER],
        "by-text": [{"question": f"What is {one}?", "answer": ANSWERS[one]} for one in ORDER],
        "by-number": [{"index": order[one], "answer": ANSWERS[one]} for one in ORDER],
    }
    rows = [
        {"question_id": f"id-{one}", "question": f"What is {one}?", "sql": sql, "db": db}
        for one, (sql, db) in QUESTIONS.items()
    ]
    predictions["by-id"] = [
        row | {"question_id": f"id-{row['question_id']}"} for row in predictions["by-id"]
    ]
    write_lines(tmp_path / "dev.jsonl", rows)
    lines = ["[[corpus]]\nname = 'dev'\nrole = 'target'\nformat = 'auto'\npath = 'dev.jsonl'"]
    for name, given in predictions.items():
        write_lines(tmp_path / f"{name}.jsonl", given)
        lines.append(
            f"[[corpus]]\nname = '{name}'\nrole = 'predictions'\ntarget = 'dev'\nmodel = 'm'\n"
            f"format = 'auto'\npath = '{name}.jsonl'"
        )
    file = tmp_path / "corpora.toml"
    file.write_text(
        "\n".join(lines).replace("format = 'auto'", "format = 'auto'\ndialect = 'sqlite'")
    )
    entries = {entry.name: entry for entry in load_corpora(file)}
    warehouse = Warehouse(tmp_path / "warehouse")
    with warehouse.locked(), bounded(None, None, warehouse.scratch):
        prepared = {
            name: prepare_corpus(entries[name], warehouse, target=entries["dev"])
            for name in predictions
        }
    assert {name: one.arrangement.way for name, one in prepared.items()} == {
        "by-id": "id",
        "by-text": "question",
        "by-number": "number",
    }
    texts = [pl.read_parquet(one.queries)["sql"].to_list() for one in prepared.values()]
    assert texts == [list(ANSWERS.values())] * 3
    assert any("joined by the texts" in note for note in prepared["by-text"].notes)


def test_explain_says_if_answers_were_taken_in_the_order_of_the_file(made):
    doubt = explain(made[0].folder, "foreign", "dev").answer_errors[-1]
    assert doubt.startswith("Beware: foreign: 6 of its 6 ids")
    assert "the answers are taken in the order of the file; check columns.id of both." in doubt
    assert not any(
        "Beware" in one for one in explain(made[0].folder, "shuffled", "dev").answer_errors
    )


@pytest.mark.parametrize("way", ["by id", "in order", "own frequencies"])
def test_answers_count_as_often_as_their_questions(tmp_path, way):
    calls = [1000, 1, 7, 2, 1, 30]
    rows = [
        {"question_id": one, "sql": sql, "calls": n}
        for (one, (sql, _)), n in zip(QUESTIONS.items(), calls, strict=True)
    ]
    answers = [{**row, "question_id": row["question_id"]} for row in rows]
    of_target = of_answers = "sql = 'sql', frequency = 'calls'"
    if way == "by id":
        answers = [{k: v for k, v in row.items() if k != "calls"} for row in reversed(answers)]
        of_target, of_answers = (
            f"{of_target}, id = 'question_id'",
            "sql = 'sql', id = 'question_id'",
        )
    elif way == "in order":
        of_answers = "sql = 'sql'"
    write_lines(tmp_path / "dev.jsonl", rows)
    write_lines(tmp_path / "perfect.jsonl", answers)
    write_lines(tmp_path / "train.jsonl", [{"sql": sql} for sql in TRAIN])
    shared = "format = 'jsonl'\ndialect = 'sqlite'\n"
    file = tmp_path / "corpora.toml"
    file.write_text(
        f"[[corpus]]\nname = 'dev'\nrole = 'target'\npath = 'dev.jsonl'\n{shared}"
        f"columns = {{ {of_target} }}\n"
        "[[corpus]]\nname = 'perfect'\nrole = 'predictions'\ntarget = 'dev'\nmodel = 'm'\n"
        f"path = 'perfect.jsonl'\n{shared}columns = {{ {of_answers} }}\n"
        f"[[corpus]]\nname = 'train'\nrole = 'train'\npath = 'train.jsonl'\n{shared}"
        "columns = { sql = 'sql' }\n"
    )
    warehouse, notes = run(file, tmp_path / "warehouse")
    with open_results(warehouse.folder) as con:
        found = select(
            con,
            "select kl_alignment from alignment where source = 'perfect' and target = 'dev'",
        )
        counts = select(con, "select n_occurrences from queries where corpus = 'perfect'")
    assert found == [(1.0,)]
    assert [n for (n,) in counts] == calls
    assert (
        "perfect: its answers count as often as the questions of dev, which have frequencies"
        in notes
    ) == (way != "own frequencies")
