"""Tables fit the terminal, even with many corpora and names of a hundred characters."""

import polars as pl
import pytest

from nl2sql_align.tasks.decisions.mixture import Mixture
from nl2sql_align.tasks.views.terminal.console import capture, out, say, shorten_name, shorten_names
from nl2sql_align.tasks.views.terminal.decisions import print_mixture
from nl2sql_align.tasks.views.terminal.headroom import print_headroom
from nl2sql_align.tasks.views.terminal.matrix import print_matrix
from nl2sql_align.tasks.views.terminal.ratios import print_ratios


@pytest.fixture
def at(monkeypatch, capsys):
    """Call a function with a terminal of this width, and return the printed lines."""

    def printed(width, call, *arguments):
        monkeypatch.setattr(out, "width", width)
        call(*arguments)
        return capsys.readouterr().out.splitlines()

    yield printed
    monkeypatch.undo()


def long_name(n):
    return f"{'corpus-of-many-queries-' * 4}{n:02d}".ljust(50, "x") + "-and-the-rest-of-its-name"


def pairs(n_sources, n_targets, name=long_name):
    sources = [(name(n), "train") for n in range(n_sources)]
    targets = [(name(n), "target") for n in range(n_sources, n_sources + n_targets)]
    return pl.DataFrame(
        [
            {
                "source": source,
                "target": target,
                "kl_alignment": 1.0 if source == target else 0.4 + 0.01 * i,
                "js_nats": 0.6 - 0.01 * i,
                "js_alignment": 0.3 + 0.01 * i,
                "ci_low": 0.37 + 0.01 * i if i % 2 else None,
                "ci_high": 0.43 + 0.01 * i if i % 2 else None,
                "target_ceiling": 0.9,
                "source_role": role,
                "target_role": target_role,
                "source_parsed_share": 1.0,
                "is_unevenly_parsed": i == 1,
                "n_answered": None,
                "n_questions": None,
                "doubts": [],
            }
            for i, (source, role) in enumerate(sources + targets)
            for target, target_role in sources + targets
        ],
        schema_overrides={"doubts": pl.List(pl.String)},
    )


def test_a_matrix_says_which_predictions_answer_a_part_of_a_target(at):
    is_part = (pl.col("source") == "corpus-0") & (pl.col("target") == "corpus-1")
    rows = pairs(1, 1, "corpus-{}".format).with_columns(
        n_answered=pl.when(is_part).then(20), n_questions=pl.when(is_part).then(60)
    )
    lines = at(200, print_matrix, rows, "kl_alignment", False)
    assert lines[-1] == (
        "corpus-0 answers 20 of 60 questions of corpus-1, and is compared with all of them here; "
        "nl2sql-align ratio compares it with these."
    )


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("is_ranked", [None, True, False])
@pytest.mark.parametrize("n_targets", [1, 3, 12])
def test_a_matrix_fits(at, width, is_ranked, n_targets):
    rows = pairs(30, n_targets)
    lines = at(width, print_matrix, rows, "kl_alignment", False, is_ranked)
    assert max(map(len, lines)) <= width
    assert not any("corpus-of-many-queries-" * 4 in line for line in lines)
    if is_ranked is False:
        assert sum(line.startswith("kl_alignment of") for line in lines) >= 1
        rows_shown = [line for line in lines if " train " in line]
        assert len(rows_shown) % 30 == 0 and "…" in rows_shown[0]
        # Names that differ only in the middle stay different.
        first = [line.split()[0] for line in rows_shown[:30]]
        assert len(set(first)) == 30


def test_a_matrix_in_too_many_blocks_is_ranked(at):
    rows = pairs(30, 12, lambda n: f"c{n}")
    lines = at(60, print_matrix, rows, "kl_alignment", False)
    assert lines[0].split() == "target training set kl_alignment 95% interval JS".split()
    assert lines[1].split()[:3] == ["c30", "c29", "0.69"]
    assert "The 5 closest of 30 training sets" in " ".join(lines[61:])
    distances = at(60, print_matrix, rows, "js_nats", False)
    assert distances[1].split()[:3] == ["c30", "c29", "0.310"]
    wide = at(200, print_matrix, rows, "kl_alignment", False)
    assert wide[0].split()[-12:] == [f"c{n}" for n in range(30, 42)]


CLOSER = "is closer, and {} means the same distribution of n-grams."


@pytest.mark.parametrize(
    ("metric", "meaning"),
    [
        ("kl_alignment", "Higher " + CLOSER.format(1)),
        ("js_nats", "Lower " + CLOSER.format(0)),
        ("exact_overlap", "exact_overlap is the share of the target's queries that the source "),
    ],
)
def test_a_matrix_says_how_to_read_its_values(at, metric, meaning):
    rows = pairs(3, 1, lambda n: f"c{n}").with_columns(exact_overlap=pl.lit(0.25))
    lines = at(200, print_matrix, rows, metric, False)
    assert any(f"Rows are sources, columns are targets. {meaning}" in line for line in lines)
    ranked = at(200, print_matrix, rows, metric, False, True, 3)
    assert any(line.startswith(meaning) for line in ranked) == (metric != "kl_alignment")
    order = "highest exact_overlap" if metric == "exact_overlap" else "closest"
    assert ranked[-1] == f"At most 3 for each target, {order} first; --format csv: all measures."


@pytest.mark.parametrize(
    ("width", "n_columns", "is_shortened"), [(100, [4, 4, 1], False), (112, [5, 4], True)]
)
def test_heads_are_shortened_only_if_that_saves_a_block(at, width, n_columns, is_shortened):
    rows = pairs(0, 9, lambda n: f"name-of-13-{n:02d}")
    lines = at(width, print_matrix, rows, "kl_alignment", True)
    heads = [line.partition("parsed")[2].split() for line in lines if "parsed" in line]
    assert [len(names) for names in heads] == n_columns
    assert {"…" in name for names in heads for name in names} == {is_shortened}


def test_decimal_points_are_aligned(at):
    rows = pairs(6, 1, lambda n: f"c{n}")
    lines = at(80, print_matrix, rows, "kl_alignment", False)
    values = [line for line in lines if " train " in line]
    shown = ["0.400", "0.41*", "0.420", "0.43", "0.440", "0.45"]
    assert [line.split()[3] for line in values] == shown
    assert len({line.rindex(".") for line in values}) == 1


def test_doubtful_values_are_marked_and_explained(at):
    doubt = "only 8 queries of c1 can be compared"
    rows = pairs(2, 1, lambda n: f"c{n}").with_columns(
        doubts=pl.when(pl.col("source") == "c0", pl.col("target") == "c2")
        .then(pl.lit([doubt]))
        .otherwise(pl.col("doubts"))
    )
    for is_ranked in (True, False):
        lines = at(80, print_matrix, rows, "kl_alignment", False, is_ranked)
        assert ["c0" in line for line in lines if "0.400!" in line] == [True]
        assert f"! {doubt}" in lines


def ratio_row(**values):
    """A row of ratios, with values of its own."""
    return {
        "target": long_name(90),
        "predictions": long_name(91),
        "model": long_name(92),
        "trained_on": long_name(93),
        "predictions_alignment": 0.7,
        "predictions_ci_low": 0.67,
        "predictions_ci_high": 0.73,
        "predictions_parsed_share": 0.99,
        "target_ceiling": 0.9,
        "n_cleaned": 0,
        "n_answered": 200,
        "n_questions": 1034,
        "is_part": True,
        "doubts": ["these may be the reference queries: 100% of the answers are texts of asked"],
        "train_ci_low": 0.8,
        "train_ci_high": 0.9,
        "train_unit": "database",
        "n_train_units": 7,
        "target_unit": "database",
        "n_target_units": 5,
        **values,
    }


@pytest.mark.parametrize("width", [60, 80, 200])
def test_ratios_fit(at, width):
    row = ratio_row()
    verdicts = ((1.2, 1.003, 1.4, "gain"), (1.0, 0.9, 1.1, "undecided"), (0.8, 0.7, 0.9, "no gain"))
    rows = pl.DataFrame(
        [
            row
            | {"train": long_name(n), "train_alignment": 0.85, "train_js_alignment": 0.707}
            | dict(zip(("alignment_ratio", "ci_low", "ci_high", "verdict"), values, strict=True))
            for n, values in enumerate(verdicts)
        ]
    )
    lines = at(width, print_ratios, rows)
    assert max(map(len, lines)) <= width
    [gain] = [line for line in lines if line.rstrip().endswith(" gain") and "no gain" not in line]
    assert "1.003 to 1.400" in gain
    assert gain.count("0.85") == gain.count("0.707") == 1
    assert "undecided" in " ".join(lines)
    text = " ".join(" ".join(lines).split())
    assert "Doubtful: these may be the reference queries: 100% of" in text
    assert "should help; on " in text and "it may or may not; on " in text
    record = "a tuned model at a ratio of 1.2 to 1.4 gained 2 points or more in 12 of 23 studied"
    assert record in text


def many_ratios(n_answers):
    """Ratios of two training sets for several sets of answers, every other one of a tuned model."""
    return pl.DataFrame(
        [
            ratio_row(
                target="asked",
                predictions=f"answers-{n}",
                model=f"model-{n}",
                trained_on="boats" if n % 2 else None,
                train=train,
                train_alignment=0.8,
                train_js_alignment=0.707,
                alignment_ratio=ratio,
                ci_low=ratio - 0.1,
                ci_high=ratio + 0.1,
                verdict="gain",
                doubts=["few queries", "for boats only"] if train == "boats" else ["few queries"],
            )
            for n in range(n_answers)
            for train, ratio in (("boats", 2 + n / 10), ("staff", 1.5))
        ],
        schema_overrides={"trained_on": pl.String},
    )


def test_many_ratios_are_summarized_untuned_and_best_first(at):
    lines = at(80, print_ratios, many_ratios(6))
    shown = [line.split() for line in lines if line.startswith("  answers-")]
    assert [row[0] for row in shown] == [f"answers-{n}" for n in (4, 2, 0, 5, 3, 1)]
    assert shown[0][1:] == ["boats", "2.40", "2.30", "to", "2.50", "gain", "1,2)"]
    assert lines.count("  1) few queries") == lines.count("  2) for boats only") == 1
    assert "--all shows all training sets" in " ".join(lines)
    assert not any("staff" in line for line in lines)


def test_a_summary_of_ratios_fits_one_screen(at):
    lines = at(80, print_ratios, many_ratios(50))
    assert len(lines) < 35
    assert "--all shows 30 more sets of answers, and all training sets" in " ".join(lines)


def test_doubts_stand_beside_the_ratios_that_they_are_about(at):
    lines = at(80, print_ratios, many_ratios(1))
    assert "  Doubtful: few queries." in lines
    [boats] = [line for line in lines if line.startswith("  boats")]
    [staff] = [line for line in lines if line.startswith("  staff")]
    assert boats.endswith("gain 1)") and staff.split()[-1] == "gain"
    assert "  1) for boats only" in lines


def test_all_ratios_are_printed_on_demand(at):
    lines = at(80, lambda: print_ratios(many_ratios(6), is_all=True))
    assert sum(line.startswith("  staff") for line in lines) == 6


def test_long_names_lose_their_middle():
    assert shorten_name("short", 12) == "short"
    assert shorten_name("a-long-name-indeed", 12) == "a-long…ndeed"
    names = shorten_names(["a-long-name-indeed", "a-long-other-indeed", "short"], 12)
    assert names == {
        "a-long-name-indeed": "a-lon…1…deed",
        "a-long-other-indeed": "a-lon…2…deed",
        "short": "short",
    }


def test_prose_is_wrapped_at_words_and_indented_below_its_mark(at):
    assert at(24, say, "of [bold]many[/] queries, 11% do not parse", 1, "- ") == [
        " - of many queries, 11%",
        "   do not parse",
    ]


def headroom_rows(*answers):
    """Rows of headroom: two training sets help, and one does not."""
    return pl.DataFrame(
        [
            {
                "target": "dev",
                "predictions": name,
                "train": train,
                "trained_on": trained_on,
                "alignment_ratio": 0.9 * (ratio or 1.0),
                "headroom_ratio": ratio,
                "best_weight": weight,
                "split_by": "databases",
            }
            for name, trained_on, best in answers
            for train, ratio, weight in (
                ("useless", None if best is None else 0.9, 0.0),
                ("second", None if best is None else best - 0.01, 0.5),
                ("first", best, 1.0),
            )
        ],
        schema_overrides={"headroom_ratio": pl.Float64, "trained_on": pl.String},
    )


def test_headroom_lists_the_most_helpful_training_set_first(at):
    lines = at(80, print_headroom, headroom_rows(("base", None, 1.2)), "w")
    assert lines[0] == "base on dev (halves with different databases)"
    assert [line.split()[0] for line in lines[2:4]] == ["first", "second"]
    assert lines[4] == "  closest without any row of useless"
    assert lines[-1] == "  nl2sql-align select w --target dev --budget 500 --out chosen"


def test_headroom_of_many_models_is_a_table_of_the_best(at):
    answers = [
        ("tuned", "first", 1.3),
        ("weak", None, 1.00003),
        (long_name(1), None, 1.2),
        ("useless-to-it", None, 0.99),
        ("partial", None, None),
    ]
    lines = at(80, print_headroom, headroom_rows(*answers), "w")
    assert max(map(len, lines)) <= 80
    head = next(n for n, line in enumerate(lines) if line.startswith("  answers"))
    shown = [line.split() for line in lines[head + 1 : head + 6]]
    assert [row[1:3] for row in shown] == [
        ["first", "1.200"],
        ["first", "1.0001"],  # on its side of 1
        ["none", "helps"],
        ["unknown:", "not"],
        ["first", "1.300"],
    ]
    assert "--all shows all training sets" in lines[head + 6]
    everything = at(80, lambda: print_headroom(headroom_rows(*answers), "w", is_all=True))
    assert not any("closest without" in line for line in everything)
    assert sum(line.split() == "useless 0.900 0.810 0%".split() for line in everything) == 4
    assert "  no Headroom Ratio: it needs one prediction for each question" in everything


def test_headroom_is_not_explained_where_none_is_known(at):
    lines = at(80, print_headroom, headroom_rows(("partial", None, None)), "w")
    assert lines[1:] == ["  no Headroom Ratio: it needs one prediction for each question"]


def test_printed_text_is_captured_without_styles(capsys):
    def show():
        say("[bold]near[/] is [yellow]closest[/]" + " to the target" * 9)

    before = out.width
    lines = capture(show, 60).splitlines()
    assert lines[0].startswith("near is closest to the target")
    assert 50 < max(map(len, lines)) <= 60
    assert (out.width, capsys.readouterr().out) == (before, "")


def test_a_mixture_lists_corpora_without_rows_in_one_line(at):
    sources = pl.DataFrame(
        [
            {
                "source": name,
                "row_weight": weight,
                "row_weight_low": weight / 2,
                "row_weight_high": weight * 1.1,
                "source_alignment": 0.7,
            }
            for name, weight in (("a", 0.9), (long_name(1), 0.1), ("b", 0.0), ("c", 0.0001))
        ]
    )
    numbers = ("m", "dev", 0.5, 0.9, 0.6, "database")
    mixture = Mixture(*numbers, sources, ("a note",), ("a", long_name(1)))
    lines = at(80, print_mixture, mixture, "w")
    assert max(map(len, lines[:-1])) <= 80
    assert "  no rows of b, c" in lines
    assert lines[-1] == (
        f"  nl2sql-align select w --target dev --from a,{long_name(1)} --budget 500 --out chosen"
    )
    # As of a copy of the target, and of templates.
    lines = at(80, print_mixture, Mixture(*numbers, sources, (), ()), "w")
    assert "select" not in "".join(lines)
