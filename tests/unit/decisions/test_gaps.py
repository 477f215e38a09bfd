"""Which templates of a target a training set lacks, from a small warehouse."""

import json
from collections import Counter

import pytest

from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError
from nl2sql_align.tasks.decisions.gaps import gaps
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.results.features import describe_templates
from nl2sql_align.tasks.warehouse.folder import Warehouse
from tests import reference
from tests.unit.results.test_publish import runner

JOIN, COUNT, NEST = "SELECT FROM JOIN ON =", "SELECT COUNT ( * ) FROM", "SELECT ( SELECT FROM )"
RARE = "SELECT FROM GROUP BY"


def some(name, template, n):
    return [(f"{name} {template} '{name}' {i}", template) for i in range(n)]


TRAIN = [*some("t", JOIN, 30), *some("t", COUNT, 2), ("broken", None)]
DEV = [*some("d", JOIN, 10), *some("d", NEST, 6), *some("d", COUNT, 3), *some("d", RARE, 1)]
OTHER = [*some("o", NEST, 7), *some("o", JOIN, 5), some("d", NEST, 1)[0], *some("o", "SELECT", 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_corpus):
    warehouse = Warehouse(tmp_path_factory.mktemp("gaps") / "it's [1] *")
    runner(warehouse, make_corpus)(
        ("train", TRAIN, {}),
        ("other", OTHER, {}),
        ("dev", DEV, {"role": "target"}),
        ("base", [JOIN], {"role": "predictions", "target": "dev"}),
    )
    return warehouse.folder


def templates_of(queries):
    return [template for _, template in queries if template]


def kl_alignment(rows):
    dev = templates_of(DEV)
    corpora = reference.Corpus(rows, rows), reference.Corpus(dev, dev)
    return reference.measures(*corpora)["kl_alignment"]


def test_each_row_says_what_its_rows_add(folder, tmp_path):
    made = gaps(folder, "train", "dev", budget=30, out=str(tmp_path / "seeds.jsonl"))
    rows = templates_of(TRAIN)
    assert made.source_alignment == pytest.approx(kl_alignment(rows), abs=1e-12)
    own, dev = Counter(rows), Counter(templates_of(DEV))
    for rank, row in enumerate(made.templates.iter_rows(named=True), 1):
        rows += [row["template"]] * row["n_rows"]
        assert row["rank"] == rank
        assert row["kl_alignment"] == pytest.approx(kl_alignment(rows), abs=1e-12)
        assert (row["n_in_source"], row["n_in_target"]) == (
            own[row["template"]],
            dev[row["template"]],
        )
        assert row["share_in_target"] == row["n_in_target"] / 20
    assert len(rows) - 32 == made.n_rows == made.templates["n_rows_so_far"][-1]
    assert made.kl_alignment == made.templates["kl_alignment"][-1] > made.source_alignment
    # JOIN is more frequent in the training set than in the target already.
    assert set(made.templates["template"]) == {NEST, COUNT, RARE}
    [nest] = made.templates.filter(template=NEST).to_dicts()
    # A row with the text of one of the target's queries is not for training.
    assert (nest["n_in_pool"], nest["example_corpus"], nest["example_sql"]) == (
        7,
        "other",
        OTHER[0][0],
    )
    assert nest["structure"] == "subqueries"
    [rare] = made.templates.filter(template=RARE).to_dicts()
    assert (rare["n_in_pool"], rare["example_corpus"], rare["example_sql"]) == (
        0,
        "dev",
        DEV[-1][0],
    )
    seeds = [json.loads(line) for line in (tmp_path / "seeds.jsonl").read_text().splitlines()]
    assert [seed["template"] for seed in seeds] == made.templates["template"].to_list()
    with open_results(folder) as con:
        stored = con.sql("from gaps order by rank").pl()
    assert stored["template"].to_list() == made.templates["template"].to_list()
    again = gaps(folder, "train", "dev", budget=30)
    assert again.templates.drop("created_at").equals(made.templates.drop("created_at"))


def test_no_template_becomes_more_frequent_than_in_the_target(folder):
    made = gaps(folder, "train", "dev", budget=1000)
    assert made.n_rows < 1000 and "do not raise" in made.notes[0]
    for row in made.templates.iter_rows(named=True):
        share = (row["n_rows"] + row["n_in_source"] - 1) / (32 + 1000)
        assert share <= row["share_in_target"]
    with open_results(folder) as con:
        assert con.sql("select distinct budget from gaps").fetchall() == [(1000,)]


def test_other_corpora_are_not_needed(folder):
    made = gaps(folder, "train", "dev", pool=["other"], budget=3)
    assert made.templates["n_in_pool"].sum() > 0
    alone = gaps(folder, "other", "train", pool=["dev"], budget=3, replicates=0)
    assert set(alone.templates["template"]) <= {JOIN, COUNT}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"source": "base"}, "role predictions"),
        ({"source": "dev"}, "'dev' is the target"),
        ({"source": "none"}, "no corpus 'none'"),
        ({"pool": ["train"]}, "'train' is the training set"),
        ({"budget": 0}, "less than 1"),
        ({"replicates": -1}, "not between 0 and 1000"),
    ],
)
def test_mistakes(folder, arguments, problem):
    with pytest.raises(ConfigurationError, match=problem):
        gaps(**{"place": folder, "source": "train", "target": "dev", **arguments})


def test_a_file_that_cannot_be_written(folder, tmp_path):
    with pytest.raises(AlignError, match="choose another -o"):
        gaps(folder, "train", "dev", budget=2, out=tmp_path / ("x" * 300))


def test_a_file_of_gaps_replaces_its_like_alone(folder, tmp_path):
    out = tmp_path / "seeds.jsonl"
    for budget in (2, 3):
        gaps(folder, "train", "dev", budget=budget, out=out)
    dump = tmp_path / "dev.json"
    dump.write_text('[{"query": "SELECT 1"}]')
    for path in (dump, Warehouse(folder).database):
        before = path.read_bytes()
        with pytest.raises(ConfigurationError, match="is not a list of gaps"):
            gaps(folder, "train", "dev", budget=2, out=path)
        assert path.read_bytes() == before


def test_structures_in_words():
    described = {
        "SELECT FROM": "a plain query",
        "SELECT COUNT ( * ) , COUNT ( ) FROM INNER JOIN ON = GROUP BY": "INNER JOIN, "
        "aggregate functions: 2, GROUP BY, conditions",
        "SELECT FROM WHERE IN ( SELECT FROM ) ORDER BY LIMIT": "subqueries, conditions, "
        "IN or EXISTS, ORDER BY with LIMIT or TOP",
    }
    assert describe_templates(list(described)) == list(described.values())
    assert describe_templates([]) == []


def test_a_target_without_gaps(folder, tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path)
    runner(warehouse, make_corpus)(("a", TRAIN, {}), ("b", TRAIN, {"role": "target"}))
    made = gaps(tmp_path, "a", "b")
    assert (made.n_rows, made.kl_alignment) == (0, made.source_alignment)
    assert made.templates.is_empty()
    assert made.notes == ("no row with a template of the target would raise the alignment",)
