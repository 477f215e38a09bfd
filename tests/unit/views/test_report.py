"""The report: one self-contained file with the published numbers, in which only its script runs."""

import base64
import hashlib
import json
import re
import shutil

import duckdb
import pytest
from typer.testing import CliRunner

from nl2sql_align.flows.cli import app
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.decisions.mixture import mix
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.views import report
from nl2sql_align.tasks.views.page.bundle import versions
from nl2sql_align.tasks.views.report import (
    REPORT_VERSION,
    read_labels,
    read_measures,
    read_page_files,
    report_file,
    report_key,
    shorten_text,
    write_report,
)
from nl2sql_align.tasks.warehouse.folder import Warehouse, stage_key
from tests.unit.results.test_publish import ALL, runner

SCRIPT = "SELECT '</script><!--<script>' , '\u2028' FROM t"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory, make_corpus):
    warehouse = Warehouse(tmp_path_factory.mktemp("reported") / "it's")
    odd = ("odd", [(SCRIPT, "SELECT , FROM")] * 3 + [None], {"license": "a & b"})
    runner(warehouse, make_corpus)(*ALL, odd)
    write_report(warehouse.folder)
    return warehouse


@pytest.fixture(scope="module")
def page(warehouse):
    return report_file(warehouse.folder).read_text(encoding="utf-8")


def data_of(page):
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def elements(page, tag):
    return re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", page, re.S)


def scripts(page):
    """Return the charting library and the page's own script."""
    _, *found = elements(page, "script")
    return found


def test_it_loads_nothing_from_elsewhere(page):
    vega, _ = scripts(page)
    own = page.replace(vega, "")  # in which names of formats look like addresses
    assert re.findall(r"\b(?:https?:)?//[a-z0-9.-]+\.[a-z]+", own) == []
    assert re.findall(r"<(?:link|img|iframe|base|object|embed)\b|@import|url\(", own) == []
    assert re.findall(r"\ssrc=", own) == []


def test_its_policy_allows_only_its_own_scripts_and_style(page):
    [policy] = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    [style] = elements(page, "style")
    for kind, texts in (("style-src", [style]), ("script-src", scripts(page))):
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        named = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
        assert rules[kind] == " ".join(named)
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"


def test_no_text_can_end_the_data(page):
    assert len(elements(page, "script")) == 3
    assert SCRIPT.replace("\u2028", " ") in data_of(page)["texts"]
    assert page.count("</script>") == 3
    assert "\u2028" not in page.replace(scripts(page)[0], "")


def test_it_contains_the_library_that_draws_pictures(page):
    head, _, rest = scripts(page)[0].partition("*/")
    assert head.startswith(f"/*! {versions()}, ")
    assert "BSD 3-Clause" in head
    assert len(rest) > 500_000


def test_without_its_data_it_is_below_one_megabyte(page):
    without = len(page.encode()) - len(json.dumps(data_of(page)))
    assert without < 1_000_000


def test_it_contains_the_published_numbers(warehouse, page):
    data = data_of(page)
    names = [corpus["corpus"] for corpus in data["corpora"]]
    with open_results(warehouse.folder) as con:
        rows = con.execute("select source, target, kl_alignment, js_nats from alignment").fetchall()
        ratios = con.execute("select alignment_ratio, verdict from alignment_ratio").fetchall()
    assert len(rows) == len(names) ** 2
    for source, target, *values in rows:
        s, t = names.index(source), names.index(target)
        for measure, value in zip(("kl_alignment", "js_nats"), values, strict=True):
            assert data["alignment"][measure][s][t] / 1e6 == pytest.approx(value, abs=1e-6)
    assert sorted(data["ratios"]["alignment_ratio"]) == sorted(round(r, 6) for r, _ in ratios)
    assert sorted(data["clustered"]) == list(range(len(names)))
    assert data["run"]["id"] == "run-1"


def test_with_very_many_corpora_it_contains_only_pairs_with_a_target(warehouse, page, tmp_path):
    write_report(warehouse.folder, tmp_path / "many.html", all_pairs_up_to=3)
    whole, data = data_of(page), data_of((tmp_path / "many.html").read_text(encoding="utf-8"))
    targets = [i for i, corpus in enumerate(data["corpora"]) if corpus["role"] == "target"]
    assert data["columns"] == targets
    assert whole["columns"] is None
    for measure, rows in whole["alignment"].items():
        for source, row in enumerate(rows):
            expected = row if source in targets else [row[target] for target in targets]
            assert data["alignment"][measure][source] == expected


def test_each_curve_ends_with_all_queries(page):
    data = data_of(page)
    for corpus, (n_templates, shares) in zip(data["corpora"], data["curves"], strict=True):
        assert n_templates[-1] == corpus["n_distinct_templates"]
        assert shares[-1] == 1
        assert shares == sorted(shares)


def test_folded_ngrams_are_added_to_the_one_that_contains_them(warehouse, page):
    data = data_of(page)
    names = [corpus["corpus"] for corpus in data["corpora"]]
    with open_results(warehouse.folder) as con:
        [(nats, n)] = con.execute(
            "select sum(contribution_nats), count(*) from ngram_contributions "
            "where source = 'train' and target = 'dev' and direction = 'over'"
        ).fetchall()
    [rows] = [
        over
        for source, target, over, _ in data["contributions"]
        if (names[source], names[target]) == ("train", "dev")
    ]
    assert sum(row[1] for row in rows) / 1e6 == pytest.approx(nats, abs=1e-4)
    assert sum(1 + row[2] for row in rows) == n


def test_of_many_pairs_the_closest_of_each_target_show_ngrams(database, monkeypatch):
    labels = read_labels(database)
    assert read_measures(database, labels, 250)["most_sources"] is None
    monkeypatch.setattr(report, "_MAX_NGRAM_PAIRS", 3)
    data = read_measures(database, labels, 250)
    assert data["most_sources"] == 3
    names = [corpus["corpus"] for corpus in labels["corpora"]]
    shown = [(names[source], names[target]) for source, target, *_ in data["contributions"]]
    assert sorted(shown) == [("base", "dev"), ("odd", "dev"), ("tuned", "dev")]  # not train


def test_ratios_have_their_records_and_doubts(database):
    labels = read_labels(database)
    data = read_measures(database, labels, 250)
    ratios = data["ratios"]
    assert all("gained" in data["texts"][record] for record in ratios["record"])
    for records, record in zip(ratios["records"], ratios["record"], strict=True):
        counts = data["texts"][record].split(" ")
        assert f"{counts[0]} of {counts[2]} studied" in data["texts"][records[0]]
    rows = database.execute(
        "select doubts from alignment_ratio "
        "order by target, predictions, alignment_ratio desc, train"
    ).fetchall()
    assert [[data["texts"][one] for one in doubts] for doubts in ratios["doubts"]] == [
        doubts for (doubts,) in rows
    ]


def test_structures_have_an_example_or_without_sql_its_template(database):
    labels = read_labels(database)
    position = [corpus["corpus"] for corpus in labels["corpora"]].index("odd")
    shown = {}
    for name, options in {"sql": {}, "template": {"without_sql": True}}.items():
        data = read_measures(database, {**labels, **options}, 250)
        *_, example = data["features"]["length in tokens"][position]
        shown[name] = data["texts"][example]
    assert shown == {"sql": SCRIPT.replace("\u2028", " "), "template": "SELECT , FROM"}
    limited = read_measures(database, labels, 3)
    assert len(limited["features"]["length in tokens"][position]) == 2


def test_selections_for_weighted_questions_are_marked(database):
    def marks():
        decisions = read_labels(database)["decisions"]
        return [decisions[name]["weighs_questions"] for name in ("selections", "budget")]

    assert marks() == [[False], [False]]
    database.execute("begin")
    database.execute('update selections set parameters = \'{"weights": "errors.csv"}\'')
    marked = marks()
    database.execute("rollback")
    assert marked == [[True], [True]]


def test_without_sql_it_has_no_text_of_a_dump(warehouse, tmp_path):
    folder = shutil.copytree(warehouse.folder, tmp_path / "copy")
    with duckdb.connect(str(folder / "alignment.duckdb")) as con:
        for table in ("gaps", "alignment_by_slice"):
            con.execute(f"insert into {table} values ({ROWS[table]})")
        con.execute("update alignment_by_slice set slice = 'north harbour'")
    shown = {}
    for name, is_without in {"with": False, "without": True}.items():
        write_report(folder, tmp_path / "r.html", without_sql=is_without)
        shown[name] = json.dumps(data_of((tmp_path / "r.html").read_text(encoding="utf-8")))
    for text in ("<!--<script>", "SELECT x FROM t", "north harbour"):
        assert text in shown["with"]
        assert text not in shown["without"]
    assert "a plain query" in shown["without"]


def test_it_has_the_name_of_the_warehouse_and_no_folder_of_the_machine(
    warehouse, page, tmp_path, database
):
    assert "<title>it&#x27;s: alignment report</title>" in page
    assert str(warehouse.folder.parent) not in page
    database.execute("begin")
    database.execute('update runs set parameters = \'{"corpora": "/srv/data/corpora.toml"}\'')
    parameters = read_labels(database)["run"]["parameters"]
    database.execute("rollback")
    assert parameters == {"corpora": "corpora.toml"}


def test_rejected_queries_have_a_reason(page):
    data = data_of(page)
    position = [corpus["corpus"] for corpus in data["corpora"]].index("odd")
    assert [row[1:3] for row in data["rejects"] if row[0] == position] == [["does not parse", 1]]


def test_a_recorded_decision_changes_the_report(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "w")
    runner(warehouse, make_corpus)(*ALL)
    assert write_report(warehouse.folder, only_if_changed=True)
    mix(warehouse.folder, "dev", replicates=20)
    assert write_report(warehouse.folder, only_if_changed=True)
    assert not write_report(warehouse.folder, only_if_changed=True)
    recorded = data_of(report_file(warehouse.folder).read_text(encoding="utf-8"))["decisions"]
    assert recorded["mixtures"]["source"] == ["train"]
    assert recorded["budget"]["target"] == recorded["sample_size"]["target"] == []


# One row for each kind of decision, and for each table that only resampling fills.
ROWS = {
    "sample_size": "'dev', 'skew', 10, 2, 0.9, 0.8, 1, 0.95, 0.9, ['train', 'odd'], 5, 0, 'run-1'",
    "selections": "'s', 'run-1', 'dev', 'direct', 3, 0, '{}', 3, 2, 0.4, 0.9, 0.8, null, 'train', "
    "'MIT', 4, 1, 0, 0, 0, 3, 3, 2, 0.85, null, 'digest', '2026-01-02 00:00:00+00'",
    "selection_curves": "'s', 'run-1', 'dev', 'direct', 3, 2, 0.4, 0.9, 0.7",
    "mixtures": "'m', 'run-1', 'dev', 0, 20, 'query', 'train', 0.6, 0.7, 0.6, 0.8, 0.85, 0.3, 0.9, "
    "0.01, 0.8, '2026-01-02 00:00:00+00'",
    "alignment_intervals": "'train', 'dev', 0.85, 0.8, 0.9, 0.95, 0.01, 0.001, 'database', 2, "
    "'query', 2, false, 200, 0, null, null, null",
    "headroom_ratio": "'train', 'dev', 'base', 'm', null, 1.2, 1.1, 0.4, 1.01, 'queries', 20, '0', "
    "'run-1'",
    "gaps": "'run-1', 'train', 'dev', 1, 'SELECT FROM', 'a plain query', 4, 4, 0.9, 0.8, 3, 0.3, "
    "1, 2, 'odd', 1, 'SELECT x FROM t', null, 10, 0, 0, '2026-01-02 00:00:00+00'",
    "alignment_by_slice": "'train', 'dev', 'hard', 4, 3, 0.7, 0.8, 'm', 'base', 0.6, 0.9, 1.17, "
    "1.3, ['only 3 queries of the slice can be compared']",
    "ceilings": "'dev', 0.95, 0.9, 0.85, 0.93, 0.8, 'query', 2, 2, 20",
}
DECISIONS = (
    "selections",
    "selection_curves",
    "sample_size",
    "mixtures",
    "headroom_ratio",
    "gaps",
)
CHANGED_LABELS = (
    "update corpora set license = 'GPL-3.0' where corpus = 'train'",
    "update corpora set model = 'another' where corpus = 'base'",
    "update corpora set trained_on = 'odd' where corpus = 'tuned'",
    "update corpora set role = 'train' where corpus = 'dev'",
    "update corpora set dialect = 'duckdb' where corpus = 'train'",
    "update corpora set corpus = 'renamed' where corpus = 'odd'",
    """update runs set versions = '{"duckdb": "3"}'""",
    """update runs set parameters = '{"skew": 0.02}'""",
    """update runs set notes = '["a note"]'""",
    """update runs set set_aside = '{"gone": "gone: no such file"}'""",
    "update runs set run_id = 'another'",
    "update runs set results_key = 'another'",
    *(f"update {table} set target = 'test'" for table in DECISIONS),
)


@pytest.fixture(scope="module")
def database(warehouse, tmp_path_factory):
    """A connection to a copy of the results with all kinds of rows; tests undo their changes."""
    copy = tmp_path_factory.mktemp("copied") / "alignment.duckdb"
    shutil.copyfile(warehouse.database, copy)
    with duckdb.connect(str(copy)) as con:
        con.execute("set timezone = 'UTC'")
        for table, row in ROWS.items():
            con.execute(f"insert into {table} values ({row})")
        con.execute("update alignment_ratio set ci_low = 1.1, ci_high = 1.3, verdict = 'gain'")
        yield con


@pytest.mark.parametrize("statement", CHANGED_LABELS)
def test_the_key_changes_with_every_label(database, statement):
    page_files = read_page_files()
    before = report_key(read_labels(database), page_files, 250)
    assert report_key(read_labels(database), page_files, 250) == before
    database.execute("begin")
    database.execute(statement)
    after = report_key(read_labels(database), page_files, 250)
    database.execute("rollback")
    assert after != before


def test_the_key_changes_with_the_page_its_version_and_its_limit(database, monkeypatch):
    labels, page_files = read_labels(database), read_page_files()
    keys = [report_key(labels, page_files, 250), report_key(labels, page_files, 3)]
    for name, text in page_files.items():
        keys.append(report_key(labels, {**page_files, name: f"{text} "}, 250))
    monkeypatch.setattr(report, "REPORT_VERSION", REPORT_VERSION + 1)
    keys.append(report_key(labels, page_files, 250))
    assert len(set(keys)) == len(keys) == 3 + len(page_files)


def test_the_version_is_raised_with_every_change_of_the_page(database):
    """Compare a digest of the page's data for fixed results with the recorded one.

    It covers the SQL, the encoding, the charts and the names of features; the page's own files are
    part of the key. A change of the published numbers fails, too.
    """
    labels = read_labels(database)
    data = labels | read_measures(database, labels, 250)
    del data["run"]  # with the time of the run
    recorded = (8, "7a733b01acdd1c249635d11eda62ab05")
    assert (REPORT_VERSION, stage_key(**data)) == recorded, (
        "the page has changed: raise REPORT_VERSION, and record it here with the new digest"
    )


def test_the_same_results_give_the_same_bytes_and_no_new_file(warehouse, tmp_path):
    assert write_report(warehouse.folder, tmp_path / "other.html")
    written = report_file(warehouse.folder)
    assert (tmp_path / "other.html").read_bytes() == written.read_bytes()
    before = written.stat()
    assert not write_report(warehouse.folder, only_if_changed=True)
    assert written.stat().st_ino == before.st_ino


def test_a_damaged_or_outdated_report_is_replaced(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "w")
    run = runner(warehouse, make_corpus)
    run(*ALL)
    file = report_file(warehouse.folder)
    assert write_report(warehouse.folder, only_if_changed=True)
    for damage in (b"", b"\xff\xfe", b"<!doctype html>"):
        file.write_bytes(damage)
        assert write_report(warehouse.folder, only_if_changed=True)
    run(*ALL)
    assert not write_report(warehouse.folder, only_if_changed=True)
    run(*ALL[:3])
    assert write_report(warehouse.folder, only_if_changed=True)
    assert len(data_of(file.read_text(encoding="utf-8"))["corpora"]) == 3


def test_a_single_corpus_without_ngrams_has_a_report(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "w")
    runner(warehouse, make_corpus)(("broken", [None], {}))
    assert write_report(warehouse.folder)
    assert data_of(report_file(warehouse.folder).read_text(encoding="utf-8"))["clustered"] == [0]


def test_the_command_writes_to_the_given_file(warehouse, tmp_path):
    result = CliRunner().invoke(
        app, ["report", str(warehouse.folder), "--out", str(tmp_path / "a.html")]
    )
    assert result.exit_code == 0
    assert (tmp_path / "a.html").read_bytes() == report_file(warehouse.folder).read_bytes()
    with pytest.raises(WarehouseError, match="cannot be written"):
        write_report(warehouse.folder, tmp_path / ("x" * 300))


def test_long_texts_lose_their_middle():
    assert shorten_text(None) is None
    assert shorten_text(" a\n b ") == "a b"
    long = shorten_text("a" * 500 + "b" * 500)
    assert (long[0], long[200], long[-1], len(long)) == ("a", "…", "b", 401)
