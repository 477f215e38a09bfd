"""The report: one file, of its own, that holds the published numbers and nothing that runs."""

import base64
import hashlib
import json
import re

import pytest
from typer.testing import CliRunner

from nl2sql_align.flows.cli import app
from nl2sql_align.tasks.base.errors import WarehouseError
from nl2sql_align.tasks.decisions.mixture import mix
from nl2sql_align.tasks.results.database import open_results
from nl2sql_align.tasks.views import report
from nl2sql_align.tasks.views.page.bundle import versions
from nl2sql_align.tasks.views.report import report_file, shortened, write_report
from nl2sql_align.tasks.warehouse.folder import Warehouse
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


def held(page):
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(text)


def elements(page, tag):
    return re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", page, re.S)


def scripts(page):
    """The charting library and the page's own script."""
    _, *found = elements(page, "script")
    return found


def test_it_asks_for_nothing_from_elsewhere(page):
    vega, _ = scripts(page)
    own = page.replace(vega, "")  # whose names of formats look like addresses
    assert re.findall(r"\b(?:https?:)?//[a-z0-9.-]+\.[a-z]+", own) == []
    assert re.findall(r"<(?:link|img|iframe|base|object|embed)\b|@import|url\(", own) == []
    assert re.findall(r"\ssrc=", own) == []


def test_its_policy_allows_its_own_script_and_style_only(page):
    [policy] = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    [style] = elements(page, "style")
    for kind, texts in (("style-src", [style]), ("script-src", scripts(page))):
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        named = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
        assert rules[kind] == " ".join(named)
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"


def test_no_text_ends_the_data(page):
    assert len(elements(page, "script")) == 3
    assert SCRIPT.replace("\u2028", " ") in held(page)["texts"]
    assert page.count("</script>") == 3
    assert "\u2028" not in page.replace(scripts(page)[0], "")


def test_the_library_it_holds_is_the_one_that_draws_pictures(page):
    head, _, rest = scripts(page)[0].partition("*/")
    assert head.startswith(f"/*! {versions()}, ")
    assert "BSD 3-Clause" in head
    assert len(rest) > 500_000


def test_it_is_below_two_megabytes_with_forty_corpora(page):
    without = len(page.encode()) - len(json.dumps(held(page)))
    assert without < 1_000_000


def test_it_holds_the_published_numbers(warehouse, page):
    data = held(page)
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


def test_of_very_many_corpora_it_holds_the_pairs_with_a_target(
    warehouse, page, tmp_path, monkeypatch
):
    monkeypatch.setattr(report, "_MOST_SQUARED", 3)
    write_report(warehouse.folder, tmp_path / "many.html")
    whole, data = held(page), held((tmp_path / "many.html").read_text(encoding="utf-8"))
    targets = [i for i, corpus in enumerate(data["corpora"]) if corpus["role"] == "target"]
    assert data["columns"] == targets
    assert whole["columns"] is None
    for measure, rows in whole["alignment"].items():
        for source, row in enumerate(rows):
            expected = row if source in targets else [row[target] for target in targets]
            assert data["alignment"][measure][source] == expected


def test_each_curve_ends_with_all_queries(page):
    data = held(page)
    for corpus, (n_templates, shares) in zip(data["corpora"], data["curves"], strict=True):
        assert n_templates[-1] == corpus["n_distinct_templates"]
        assert shares[-1] == 1
        assert shares == sorted(shares)


def test_folded_ngrams_count_with_the_one_that_contains_them(warehouse, page):
    data = held(page)
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


def test_rejected_queries_stand_with_their_reason(page):
    data = held(page)
    place = [corpus["corpus"] for corpus in data["corpora"]].index("odd")
    assert [row[1:3] for row in data["rejects"] if row[0] == place] == [["does not parse", 1]]


def test_a_decision_makes_the_report_another(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "w")
    runner(warehouse, make_corpus)(*ALL)
    assert write_report(warehouse.folder, only_if_changed=True)
    mix(warehouse.folder, "dev", replicates=20)
    assert write_report(warehouse.folder, only_if_changed=True)
    assert not write_report(warehouse.folder, only_if_changed=True)
    recorded = held(report_file(warehouse.folder).read_text(encoding="utf-8"))["decisions"]
    assert recorded["mixtures"]["source"] == ["train"]
    assert recorded["budget"]["target"] == recorded["sample_size"]["target"] == []


def test_the_same_results_give_the_same_bytes_and_are_not_written_again(warehouse, tmp_path):
    assert write_report(warehouse.folder, tmp_path / "other.html")
    written = report_file(warehouse.folder)
    assert (tmp_path / "other.html").read_bytes() == written.read_bytes()
    before = written.stat()
    assert not write_report(warehouse.folder, only_if_changed=True)
    assert written.stat().st_ino == before.st_ino


def test_a_damaged_report_or_one_of_other_results_is_written_again(tmp_path, make_corpus):
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
    assert len(held(file.read_text(encoding="utf-8"))["corpora"]) == 3


def test_a_single_corpus_without_ngrams_makes_a_report(tmp_path, make_corpus):
    warehouse = Warehouse(tmp_path / "w")
    runner(warehouse, make_corpus)(("broken", [None], {}))
    assert write_report(warehouse.folder)
    assert held(report_file(warehouse.folder).read_text(encoding="utf-8"))["clustered"] == [0]


def test_the_command_writes_where_it_is_told(warehouse, tmp_path):
    result = CliRunner().invoke(
        app, ["report", str(warehouse.folder), "--out", str(tmp_path / "a.html")]
    )
    assert result.exit_code == 0
    assert (tmp_path / "a.html").read_bytes() == report_file(warehouse.folder).read_bytes()
    with pytest.raises(WarehouseError, match="cannot be written"):
        write_report(warehouse.folder, report_file(warehouse.folder) / "below")


def test_long_texts_lose_their_middle():
    assert shortened(None) is None
    assert shortened(" a\n b ") == "a b"
    long = shortened("a" * 500 + "b" * 500)
    assert (long[0], long[200], long[-1], len(long)) == ("a", "…", "b", 401)
