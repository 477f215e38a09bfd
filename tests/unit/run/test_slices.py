"""The slices of a target: each is compared like a target of its own."""

import json

import duckdb
import pytest

from nl2sql_align.flows.cli import invoke
from nl2sql_align.tasks.base.connections import bounded
from nl2sql_align.tasks.base.errors import ConfigurationError, RequirementError
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry, parse_entry
from nl2sql_align.tasks.measures.intervals import Resampling
from nl2sql_align.tasks.measures.slices import NO_VALUE, OTHERS, measure_slices
from nl2sql_align.tasks.results.read import slices
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.warehouse.folder import Warehouse

pytestmark = pytest.mark.usefixtures("one_parser_process")

SIMPLE = (
    "select name from boat",
    "select age from crew",
    "select name from boat where berth = 1",
    "select kind from boat where berth > 2",
)
HARD = (
    "select kind, count(*) from boat group by kind",
    "select name from crew order by age desc limit 1",
    "select b.name from boat as b join crew as c on b.id = c.boat where c.age > 40",
    "select name from boat where id in (select boat from crew)",
)
# Queries of two kinds, several times each, so that training sets have parts.
QUESTIONS = [
    {"id": f"q{n}", "sql": sql, "db": f"harbour {n % 3}", "level": level, "meta": {"tag": "all"}}
    for n, (sql, level) in enumerate(
        ([(sql, "simple") for sql in SIMPLE] + [(sql, "hard") for sql in HARD]) * 6
    )
]
TRAIN = [sql for sql in SIMPLE[:2] for _ in range(20)] + [sql for sql in HARD for _ in range(15)]


def answer(question):
    """Answer a question wrongly if it is hard, and with prose once."""
    if question["id"] == "q4":
        return "no idea"
    return question["sql"].split(" where ")[0].split(" order ")[0]


def write(path, rows):
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


class Dumps:
    """Dumps in a folder, and their entries."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def entry(self, name, role, rows=None, columns=(), **keys):
        path = self.folder / f"{name}.jsonl"
        if rows is not None:
            write(path, rows)
        columns = {"sql": "sql", **dict(columns)}
        known = {"format": "jsonl", "dialect": "sqlite", "path": path, "columns": columns}
        return CorpusEntry(name=name, role=role, **known, **keys)

    def train(self):
        return self.entry("train", "train", [{"sql": sql} for sql in TRAIN])

    def target(self, name, questions, **columns):
        columns = {"db_id": "db", "id": "id", **columns}
        return self.entry(name, "target", questions, columns.items())

    def answers(self, name, target, questions, **columns):
        rows = [{"id": one["id"], "sql": answer(one)} for one in questions]
        return self.entry(
            name, "predictions", rows, columns.items(), target=target, model=f"model of {name}"
        )


def run(folder, entries, replicates=2):
    warehouse = Warehouse(folder).resolved
    return run_locally(
        entries, warehouse, JobSettings(resampling=Resampling(replicates), has_comments=False)
    )


def read(place, query):
    from nl2sql_align.tasks.results.database import open_results

    with open_results(place) as con:
        return con.sql(query).pl().to_dicts()


LEVELS = {
    level: [one for one in QUESTIONS if one["level"] == level] for level in ("simple", "hard")
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A target with slices, and each of its slices as a target of its own."""
    folder = tmp_path_factory.mktemp("slices")
    dumps = Dumps(folder / "dumps")
    entries = [
        dumps.train(),
        dumps.target("dev", QUESTIONS, slice="level"),
        dumps.answers("answers", "dev", QUESTIONS),
        dumps.answers("some", "dev", [one for one in QUESTIONS[:30] if one["id"] != "q9"], id="id"),
        dumps.answers("unmatched", "dev", QUESTIONS[:30]),
        dumps.target("whole", QUESTIONS, slice="$.meta.tag"),
        dumps.target("unasked", [*QUESTIONS[:8], {**QUESTIONS[8], "level": None}], slice="level"),
    ]
    for level, questions in LEVELS.items():
        entries += [
            dumps.target(level, questions),
            dumps.answers(f"answers-{level}", level, questions),
        ]
    some = [one for one in LEVELS["hard"] if int(one["id"][1:]) < 30]
    entries += [
        dumps.target("some-hard", some),
        dumps.answers("answers-some-hard", "some-hard", some),
    ]
    summary = run(folder / "warehouse", entries)
    assert not summary.set_aside
    return folder / "warehouse"


RATIOS = ("train_alignment", "reach", "predictions_alignment", "alignment_ratio", "reach_ratio")


@pytest.mark.parametrize("level", LEVELS)
def test_a_slice_has_the_numbers_of_a_target_with_its_questions_alone(made, level):
    [own] = read(made, f"from alignment_ratio where target = '{level}'")
    [row] = slices(made).filter(target="dev", slice=level, predictions="answers").to_dicts()
    for name in RATIOS:
        assert row[name] == pytest.approx(own[name], abs=1e-9), name
    assert row["predictions_parsed_share"] == own["predictions_parsed_share"]
    assert (row["n_queries"], row["n_templated"], row["model"]) == (24, 24, "model of answers")
    assert row["doubts"] == []


def test_the_slices_differ(made):
    rows = slices(made).filter(target="dev", predictions="answers")
    assert rows["slice"].to_list() == ["hard", "simple"]
    for name in RATIOS:
        assert rows[name].n_unique() == 2, name
    assert (rows["reach"] > rows["train_alignment"]).any()


def test_a_slice_with_all_questions_has_the_numbers_of_the_target(made):
    [whole] = read(made, "from alignment_intervals where source = 'train' and target = 'whole'")
    [row] = slices(made, targets=["whole"]).to_dicts()
    assert row["slice"] == "all"
    assert row["train_alignment"] == pytest.approx(whole["kl_alignment"], abs=1e-9)
    assert row["reach"] == pytest.approx(whole["reach"], abs=1e-9)
    assert (row["predictions"], row["alignment_ratio"], row["n_queries"]) == (None, None, 48)


def test_answers_to_a_part_of_the_target_are_compared_with_the_slices_of_that_part(made):
    [row] = slices(made).filter(target="dev", slice="hard", predictions="some").to_dicts()
    [own] = read(made, "from alignment_ratio where target = 'some-hard'")
    assert row["n_queries"] == 14
    for name in RATIOS:
        assert row[name] == pytest.approx(own[name], abs=1e-9), name
    assert row["predictions_parsed_share"] == 13 / 14
    assert row["doubts"] == ["only 14 queries of the slice can be compared"]


def test_answers_whose_questions_are_unknown_have_no_ratio_and_a_doubt(made):
    rows = slices(made, models=["unmatched"]).to_dicts()
    assert len(rows) == 2
    for row in rows:
        assert row["alignment_ratio"] is row["predictions_alignment"] is None
        assert row["train_alignment"] > 0
        assert row["doubts"] == [
            "the questions that the answers of unmatched belong to are unknown"
        ]


def test_questions_without_a_value_are_a_slice_and_few_queries_a_doubt(made):
    rows = {row["slice"]: row for row in slices(made, targets=["unasked"]).to_dicts()}
    assert {name: row["n_queries"] for name, row in rows.items()} == {
        "hard": 4,
        "simple": 4,
        NO_VALUE: 1,
    }
    assert rows[NO_VALUE]["doubts"] == ["only 1 query of the slice can be compared"]


def test_slices_are_chosen_and_required_like_ratios(made):
    assert set(slices(made, targets=["whole"])["target"]) == {"whole"}
    assert set(slices(made, models=["model of some"])["predictions"]) == {"some"}
    assert slices(made, trains=["train"]).equals(slices(made))
    with pytest.raises(ConfigurationError, match="no training set 'tain'"):
        slices(made, trains=["tain"])
    with pytest.raises(RequirementError, match="the first: train, whole, all"):
        slices(made, "train_alignment > 1", targets=["whole"])


def test_the_terminal_shows_the_closest_training_set_of_each_slice(made, capsys):
    assert invoke(["slices", str(made), "--target", "dev", "--model", "unmatched"]) == 0
    heading, head, *rows = capsys.readouterr().out.split("\n")
    assert heading == "Slices of dev, for unmatched"
    assert head.split() == "slice queries training set alignment reach AR by reach".split()
    assert [row.split()[:3] for row in rows[:2]] == [
        ["hard", "24", "train"],
        ["simple", "24", "train"],
    ]
    assert all(row.rstrip().endswith("1)") for row in rows[:2])
    assert rows[2].startswith("  1) the questions that the answers of unmatched belong to are")
    assert invoke(["slices", str(made), "--target", "dev"]) == 0
    assert "for answers" in capsys.readouterr().out
    assert invoke(["slices", str(made), "--require", "train_alignment > 1"]) == 4


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"role": "train"}, "key 'columns.slice' is for targets only; remove it"),
        ({"columns": {"sql": "sql", "slice": "$["}}, "key 'columns.slice': '$[' is not a JSON pa"),
        (
            {"columns": {"sql": "sql", "slice": "$.level"}, "format": "csv"},
            "key 'columns': JSON paths do not go with format 'csv'",
        ),
    ],
)
def test_a_wrong_key_is_refused_in_one_line(tmp_path, entry, problem):
    known = {"name": "dev", "role": "target", "format": "jsonl", "path": "x.jsonl"}
    known |= {"columns": {"sql": "sql", "slice": "level"}}
    with pytest.raises(ConfigurationError) as error:
        parse_entry(tmp_path / "c.toml", 1, {**known, **entry})
    assert problem in str(error.value)
    assert str(error.value).count("\n") == 0


def stages(folder):
    names = ("queries", "templates", "intervals", "pairs")
    paths = [path for name in names for path in (folder / "stages" / name).iterdir()]
    return {path: path.stat().st_ino for path in [*paths, *(folder / "ngrams").iterdir()]}


def test_another_column_measures_the_slices_again_and_nothing_else(tmp_path, monkeypatch):
    dumps, folder = Dumps(tmp_path / "dumps"), tmp_path / "warehouse"
    train, answers = dumps.train(), dumps.answers("answers", "dev", QUESTIONS)
    plain = dumps.target("dev", QUESTIONS)
    run(folder, [train, plain, answers])
    before = stages(folder)
    assert slices(folder).is_empty()

    by_level = dumps.target("dev", QUESTIONS, slice="level")
    summary = run(folder, [train, by_level, answers])
    assert (summary.n_ingested, summary.n_parsed) == (0, 0)
    assert set(slices(folder)["slice"]) == {"hard", "simple"}
    of_level = slices(folder)
    with monkeypatch.context() as patched:
        # The same inputs need no measure again.
        patched.setattr("nl2sql_align.tasks.measures.slices._measure_sliced", None)
        run(folder, [train, by_level, answers])
    assert slices(folder).equals(of_level)

    run(folder, [train, dumps.target("dev", QUESTIONS, slice="db"), answers])
    assert set(slices(folder)["slice"]) == {"harbour 0", "harbour 1", "harbour 2"}
    assert stages(folder) == before
    files = [*(folder / "stages" / "slices").iterdir()]
    assert len(files) == 1  # that of the other column is gone

    run(folder, [train, plain, answers])
    assert slices(folder).is_empty()
    assert not [*(folder / "stages" / "slices").iterdir()]
    assert not [*(folder / "stages" / "slice_measures").iterdir()]


def test_a_missing_column_sets_the_target_aside(tmp_path):
    dumps = Dumps(tmp_path / "dumps")
    target = dumps.target("dev", QUESTIONS, slice="levl")
    summary = run(tmp_path / "warehouse", [dumps.train(), target])
    assert "has no column 'levl' (it has db, id, level, meta, sql)" in summary.set_aside["dev"]


def test_the_smallest_of_many_slices_are_one_slice(tmp_path, monkeypatch):
    dumps = Dumps(tmp_path / "dumps")
    some = QUESTIONS[:9]
    target = dumps.target("dev", some, slice="db")
    monkeypatch.setattr(
        "nl2sql_align.tasks.run.steps.slices.measure_slices",
        lambda *given: measure_slices(*given, most_slices=1),
    )
    run(tmp_path / "warehouse", [dumps.train(), target])
    rows = slices(tmp_path / "warehouse")
    assert dict(rows.select("slice", "n_queries").iter_rows()) == {"harbour 0": 3, OTHERS: 6}


def test_slices_of_a_target_without_texts_have_numbers(tmp_path):
    dumps = Dumps(tmp_path / "dumps")
    target = dumps.target("dev", QUESTIONS, slice="level").model_copy(update={"keep_sql": False})
    entries = [dumps.train(), target, dumps.answers("answers", "dev", QUESTIONS)]
    for _ in range(2):
        summary = run(tmp_path / "warehouse", entries)
        assert not summary.set_aside
        assert set(slices(tmp_path / "warehouse")["slice"]) == {"slice 1", "slice 2"}
    with_texts = [dumps.train(), target.model_copy(update={"keep_sql": True}), entries[2]]
    run(tmp_path / "other", with_texts)
    numbers = [slices(tmp_path / one).select(RATIOS) for one in ("warehouse", "other")]
    assert numbers[0].equals(numbers[1])


@pytest.mark.parametrize("keys", [{"which": "each"}, {"statements": "each"}])
def test_several_queries_of_a_question_are_in_its_slice(tmp_path, keys):
    dumps = Dumps(tmp_path / "dumps")
    both = {"which": lambda sqls: sqls, "statements": "; ".join}
    [name] = keys
    rows = [
        {"sql": both[name]([SIMPLE[0], SIMPLE[2]]), "level": "simple"},
        {"sql": both[name]([HARD[0], HARD[1], HARD[2]]), "level": "hard"},
    ]
    columns = {"slice": "level"}
    target = dumps.entry("dev", "target", rows, columns.items(), **keys)
    summary = run(tmp_path / "warehouse", [dumps.train(), target])
    assert not summary.set_aside
    expected = {"simple": 6, "hard": 6} if name == "which" else {"hard": 3, "simple": 2}
    found = slices(tmp_path / "warehouse")
    assert dict(found.select("slice", "n_queries").iter_rows()) == expected


def test_slices_do_not_depend_on_the_number_of_threads(made, tmp_path):
    dumps = Dumps(tmp_path / "dumps")
    entries = [dumps.train(), dumps.target("dev", QUESTIONS, slice="level")]
    found = []
    for threads in (1, 2):
        with bounded(threads, None, tmp_path / "scratch"):
            run(tmp_path / f"warehouse-{threads}", entries)
        found.append(slices(tmp_path / f"warehouse-{threads}").to_dicts())
    assert found[0] == found[1]


def test_slices_are_a_field_of_the_rows_of_a_known_format_or_their_databases(tmp_path):
    dumps = Dumps(tmp_path / "dumps")
    rows = [
        {"question": one["id"], "SQL": one["sql"], "db_id": one["db"], "difficulty": one["level"]}
        | {"evidence": {"kind": one["level"][0]}}
        for one in QUESTIONS
    ]
    bird = dumps.folder / "bird.json"
    bird.write_text(json.dumps([*rows, {**rows[0], "SQL": None}]))
    con = duckdb.connect()
    con.sql(f"from read_json('{bird}')").write_parquet(str(dumps.folder / "bird.parquet"))
    gold = dumps.folder / "gold.sql"
    gold.write_text("".join(f"{row['SQL']}\t{row['db_id']}\n" for row in rows))
    lines = dumps.folder / "lines.sql"
    lines.write_text("".join(f"{row['SQL']}\n" for row in rows))

    def target(name, path, format, field):
        known = {"role": "target", "dialect": "sqlite", "columns": {"slice": field}}
        return CorpusEntry(name=name, path=path, format=format, **known)

    entries = [
        dumps.train(),
        target("bird", bird, "bird", "difficulty"),
        target("parquet", dumps.folder / "bird.parquet", "bird", "difficulty"),
        target("auto", bird, "auto", "difficulty"),
        target("path", bird, "bird", "$.evidence.kind"),
        target("databases", bird, "bird", "db_id"),
        target("gold", gold, "gold_sql", "db_id"),
        target("wrong", bird, "bird", "level"),
        target("lines", lines, "lines", "level"),
    ]
    summary = run(tmp_path / "warehouse", entries)
    counts = {
        name: dict(group.select("slice", "n_queries").unique().sort("slice").rows())
        for (name,), group in slices(tmp_path / "warehouse").group_by(["target"])
    }
    levels, databases = {"hard": 24, "simple": 24}, {f"harbour {n}": 16 for n in range(3)}
    assert counts == {
        "bird": levels | {"simple": 25},
        "parquet": levels | {"simple": 25},
        "auto": levels | {"simple": 25},
        "path": {"h": 24, "s": 25},
        "databases": databases | {"harbour 0": 17},
        "gold": databases,
    }
    problem = "has no value of 'level' (it has question, SQL, db_id, difficulty, evidence)"
    assert problem in summary.set_aside["wrong"]
    assert "has no rows with fields for columns.slice = 'level'" in summary.set_aside["lines"]
    assert read(tmp_path / "warehouse", "from corpora where corpus = 'bird'")[0]["n_rejected"] == 1
