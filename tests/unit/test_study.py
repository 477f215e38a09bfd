"""The study of small models: its pure parts, and its model where JAX is installed."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest

from benchmarks.inputs import ROOT
from benchmarks.study.collect import Collected
from benchmarks.study.design import (
    SAMPLES,
    Corpora,
    Row,
    Start,
    TrainingSet,
    count_steps,
    list_jobs,
    rows_of,
)
from benchmarks.study.dumps import write_dumps
from benchmarks.study.measures import Measures
from benchmarks.study.real import PUBLISHED
from benchmarks.study.report import RECORDS, STUDY, format_tables, read_outcomes, records
from benchmarks.study.spelling import Spelling, fill
from benchmarks.study.tables import compare_pairs, count_bands, count_right, moved
from benchmarks.study.vocabulary import (
    END,
    UNKNOWN,
    Vocabulary,
    bucket_of,
    make_batches,
    share_right,
    split_words,
)
from nl2sql_align.tasks.decisions.calibration import read_outcomes as read_calibrated
from nl2sql_align.tasks.ingest.corpora_file import load_corpora

COUNT = "SELECT COUNT ( * ) FROM"
NAMES = "SELECT FROM WHERE = ORDER BY"


def test_numbers_in_questions_are_one_word():
    assert split_words("How many boats, since 2019?") == [
        "how", "many", "boats", ",", "since", "#", "?",
    ]  # fmt: skip


def test_templates_come_back_from_their_numbers_unless_a_token_is_unknown_or_the_end_is_cut():
    known = Vocabulary.collect(["how many boats"] * 5, [COUNT] * 5 + [NAMES] * 5)
    numbers = known.read_templates([COUNT, NAMES, "SELECT NULL", " ".join(["SELECT"] * 60)])
    assert known.write_templates(numbers) == [COUNT, NAMES, None, None]
    assert UNKNOWN in numbers[2]
    assert END not in numbers[3]


def test_rare_words_are_unknown():
    known = Vocabulary.collect(["boats"] * 5 + ["ships"] * 4, [COUNT] * 5)
    assert known.read_questions(["boats ships"])[0, :3].tolist() == [4, UNKNOWN, 0]


def test_batches_have_one_length_each_and_repeat_rows_of_small_sets():
    lengths = [3, 9, 15, 38]
    templates = np.zeros((4, 40), np.int32)
    for row, length in enumerate(lengths):
        templates[row, :length] = 5
    batches = list(make_batches(templates, 6, np.random.default_rng(1), size=4))
    assert len(batches) == 6
    for length, rows in batches:
        assert len(rows) == 4
        assert {bucket_of(lengths[row]) for row in rows} == {length}
    again = make_batches(templates, 6, np.random.default_rng(1), size=4)
    assert all((one[1] == other[1]).all() for one, other in zip(batches, again, strict=True))


def test_small_sets_are_read_often_and_large_ones_a_few_times():
    assert [count_steps(n) for n in (10, 100, 2_000, 6_000, 50_000)] == [40, 40, 94, 280, 280]


def test_only_equal_templates_are_right():
    assert share_right([COUNT, None, NAMES, COUNT], [COUNT, COUNT, NAMES, NAMES]) == 0.5


@pytest.mark.parametrize(
    "template",
    [
        COUNT,
        NAMES,
        "SELECT DISTINCT , AVG ( ) FROM JOIN ON = WHERE NOT IN ( SELECT FROM ) AND LIKE",
        "SELECT * FROM WHERE BETWEEN AND OR IN ( ) GROUP BY HAVING COUNT ( DISTINCT ) > LIMIT",
        "WITH ( SELECT FROM ) SELECT CAST ( ) * / SUM ( CASE WHEN IS NOT NULL THEN ELSE END ) FROM",
        "SELECT RANK ( ) OVER ( PARTITION BY ORDER BY DESC ) FROM ( SELECT EXCEPT SELECT )",
    ],
)
def test_templates_are_spelled_as_queries_that_have_them(template):
    assert Spelling([])(template) == fill(template)


@pytest.mark.parametrize("template", ["", "SELECT SELECT", "SELECT FROM WHERE ( =", "WHERE FROM"])
def test_templates_of_no_query_are_not_spelled(template):
    assert Spelling([])(template) is None


def test_known_queries_go_first():
    assert Spelling([(COUNT, "select count(*) from boat")])(COUNT) == "select count(*) from boat"
    # A query with another template is not taken.
    assert Spelling([(COUNT, "select name from boat")])(COUNT) == fill(COUNT)


def corpora() -> Corpora:
    def rows(source: str, n: int) -> list[Row]:
        return [
            Row(f"{source} {i}", f"{COUNT} {i % 50}", "", "sqlite", f"db{i % 3}", source)
            for i in range(n)
        ]

    sources = {name: rows(name, 400) for name in SAMPLES.sources}
    return Corpora(SAMPLES, sources, {"orchard-dev": rows("orchard", 20)})


def test_smaller_parts_belong_to_larger_ones_and_to_mixtures():
    small, large, mixture = (
        {row.question for row in rows_of(corpora(), TrainingSet(name, "", 0))}
        for name in ("harbour:100", "harbour:400", "harbour:100+ledger:100")
    )
    assert len(small) == 100
    assert small < large
    assert {row for row in mixture if row.startswith("harbour")} == small
    assert len(mixture) == 200


def test_narrow_sets_have_few_templates_and_as_many_rows_as_others():
    for n in (1, 5, 10):
        some = rows_of(corpora(), TrainingSet(f"ledger:{n}-templates", "narrow", 0))
        assert len(some) == 1000
        assert len({row.template for row in some}) == n


def test_each_mixture_is_beside_a_part_of_it_and_no_tuning_is_listed_twice():
    jobs = list_jobs(corpora(), seeds=(0, 1))
    assert len({job[1:] for job in jobs}) == len(jobs)
    assert [job.round for job in jobs] == sorted(job.round for job in jobs)
    by_start: dict[Start, set[str]] = {}
    for job in jobs:
        by_start.setdefault(job.start, set()).add(job.training.name)
    for names in by_start.values():
        for mixture in (name for name in names if "+" in name):
            assert names & set(mixture.split("+"))
    # A tuned model starts only after the tuning that made it.
    made = {job.start._replace(tuned_on=job.training.name) for job in jobs if job.round == 0}
    assert {start for start in by_start if start.tuned_on} == made


def test_dumps_name_what_calibrate_needs(tmp_path):
    of = corpora()
    train = TrainingSet("harbour:100+ledger:100", "mixture", 1)
    outcomes = pl.DataFrame(
        {
            "model": ["small", "small"],
            "predictions": ["a-100-seed1.orchard-dev", "a-100-seed1-then-ledger-100.orchard-dev"],
            "train": ["harbour-100.ledger-100.seed1"] * 2,
            "train_rows": [200, 200],
            "target": ["orchard-dev"] * 2,
            "metric": ["template_match"] * 2,
            "before": [0.1, 0.2],
            "after": [0.3, 0.3],
            "start": ["a-100-seed1", "a-100-seed1-then-ledger-100"],
            "set": [train.name] * 2,
            "seed": [1, 1],
        }
    )
    answers = {start: {"orchard-dev": [NAMES, "WHERE FROM", None]} for start in outcomes["start"]}
    measures = Measures(of, Spelling([]), {train: rows_of(of, train)}, [])
    place = write_dumps(tmp_path, "orchard-dev", Collected(outcomes, measures, answers))
    entries = {entry.name: entry for entry in load_corpora(place)}
    named = [(one.model, one.trained_on) for one in map(entries.get, outcomes["predictions"])]
    assert named == [("a-100-seed1", None), ("a-100-seed1", "ledger-100.seed1")]
    assert [one.model for one in read_calibrated(place.with_name("outcomes.csv"))] == (
        ["a-100-seed1"] * 2
    )
    lines = entries["a-100-seed1.orchard-dev"].path.read_text().splitlines()
    assert lines == [fill(NAMES), "error", "error"]
    assert entries["harbour-100.ledger-100.seed1"].columns.part == "part"
    rows = entries["harbour-100.ledger-100.seed1"].path.read_text().splitlines()
    assert Counter(json.loads(row)["part"] for row in rows) == {"harbour": 100, "ledger": 100}


def test_signs_and_pairs_are_counted_where_scores_differ_by_two_points():
    outcomes = pl.DataFrame(
        {
            "start": ["a", "a", "a", "b"],
            "target": ["t", "t", "t", "t"],
            "change": [0.3, 0.28, -0.01, -0.2],
            "after": [0.5, 0.48, 0.19, 0.0],
            "alignment_ratio": [1.3, 1.4, 1.1, 0.7],
        }
    )
    big = moved(outcomes)
    assert big.height == 3
    assert count_right(big, "alignment_ratio") == (3, 3)
    assert count_right(outcomes, "alignment_ratio") == (3, 4)
    # 0.5 and 0.48 differ by two points: the ratio has them in the wrong order.
    assert compare_pairs(outcomes, ["alignment_ratio"]) == ({"alignment_ratio": 2.0}, 3)
    bands = count_bands(outcomes, "alignment_ratio", (0.0, 1.0, 1.2, 2.0))
    assert bands.select("n", "n_gained", "n_lost").rows() == [(1, 0, 1), (1, 0, 0), (2, 2, 0)]


def test_the_page_and_the_records_are_those_of_the_committed_outcomes():
    study, published = read_outcomes(STUDY), read_outcomes(PUBLISHED)
    page = (ROOT / "docs" / "study.md").read_text("utf-8")
    tables = format_tables(study, published)
    missing = [title for title, text in tables.items() if text not in page]
    assert missing == ["All outcomes", "Signs by kind, all", "Published"]
    assert records(study, published).write_csv() == RECORDS.read_text("utf-8")


def test_a_question_is_answered_with_the_templates_of_the_questions_most_like_it():
    pytest.importorskip("sklearn", reason="question reach needs scikit-learn (extra bench)")
    from benchmarks.study.questions import question_reach

    def row(question: str, template: str) -> Row:
        return Row(question, template, "", "sqlite", None, "")

    train = [row("how many boats are there", COUNT), row("names of all captains by age", NAMES)]
    asked = [row("how many ships are there", COUNT), row("names of ports by size", NAMES)]
    assert question_reach(train, {"t": asked}, nearest=1) == {"t": 1.0}
    assert question_reach(train, {"t": [row("quay", COUNT)]}, nearest=1) == {"t": 0.0}


def test_equal_seeds_give_equal_models_that_learn():
    pytest.importorskip("jax", reason="the model needs JAX (extra bench)")
    from benchmarks.study.model import answer, start_parameters, train

    questions = ["how many boats", "names of boats by age"] * 8
    templates = [COUNT, NAMES] * 8
    known = Vocabulary.collect(questions, templates)
    asked, wanted = known.read_questions(questions), known.read_templates(templates)

    def learn(seed: int) -> tuple[list[str | None], float]:
        tuned, _, loss = train(start_parameters(0, known, units=16), asked, wanted, 60, seed, 0.01)
        return known.write_templates(answer(tuned, asked)), loss

    first, loss = learn(1)
    assert first == templates
    assert learn(1) == (first, loss)
