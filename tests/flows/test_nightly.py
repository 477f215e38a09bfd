"""The nightly flow, and the artifacts and events of runs on the server."""

import base64
import errno
import json
import shutil
import time

import duckdb
import pytest

from nl2sql_align.tasks.base.errors import AlignError, ConfigurationError, DatabaseInUseError
from tests.flows.artifacts import read_artifact
from tests.flows.conftest import SAMPLES
from tests.flows.warehouses import leftovers, read

pytestmark = [pytest.mark.flow, pytest.mark.usefixtures("one_parser_process")]


@pytest.fixture
def nightly(align):
    from nl2sql_align.flows.nightly import nightly

    return nightly


@pytest.fixture
def dumps(tmp_path):
    folder = tmp_path / "dumps"
    (folder / "spider").mkdir(parents=True)
    shutil.copy(SAMPLES / "harbour-train.json", folder / "spider" / "train_spider.json")
    shutil.copy(SAMPLES / "orchard-dev.json", folder / "spider" / "dev.json")
    (folder / "shop").mkdir()
    (folder / "shop" / "log.sql").write_text("SELECT a FROM b\n" * 9 + "SELECT max(a) FROM b\n")
    (folder / "shop" / "corpus.toml").write_text('role = "train"\nformat = "lines"')
    return folder


def events(name, run_id):
    """Return the events of a run; the server gets them a little later, from other tests too."""
    from prefect import get_client
    from prefect.events.filters import EventFilter, EventNameFilter

    filter = EventFilter(event=EventNameFilter(name=[name]))
    for _ in range(50):
        with get_client(sync_client=True) as client:
            body = {"filter": filter.model_dump(mode="json")}
            answer = client.request("POST", "/events/filter", json=body).json()
        found = [event for event in answer["events"] if event["payload"]["run_id"] == run_id]
        if found:
            return found
        time.sleep(0.2)
    return []


def test_night_after_night(nightly, dumps, tmp_path):
    warehouse = tmp_path / "nights"

    def night(**options):
        return nightly([dumps], warehouse, settle_minutes=0, threads=2, **options)

    def corpora():
        found = read(warehouse, "select corpus, retired_at is not null from corpora order by all")
        return dict(found)

    first = night()
    assert (first.set_aside, first.problems) == ({}, ())
    assert corpora() == {"shop": False, "spider-dev": False, "spider-train": False}
    before = read(warehouse, "from alignment where source = 'shop' order by target")

    # One dump is gone, one has changed, and one has an invalid description.
    shutil.rmtree(dumps / "shop")
    changed = json.loads((dumps / "spider" / "train_spider.json").read_text())[:40]
    for row in changed:
        row["query"] = "SELECT max(a) FROM b WHERE c IN (SELECT d FROM e)"
    (dumps / "spider" / "train_spider.json").write_text(json.dumps(changed))
    (dumps / "bad").mkdir()
    (dumps / "bad" / "corpus.toml").write_text('role = "trane"')
    (dumps / "pg_stat.csv").write_text("query\nSELECT 1\n")
    second = night(drift_threshold=0.05)
    assert corpora() == {"shop": True, "spider-dev": False, "spider-train": False}
    assert [problem for problem in second.problems if "bad/corpus.toml" in problem]
    assert [one.split(":")[0] for one in second.skipped] == [str(dumps / "pg_stat.csv")]
    assert second.n_ingested == 1
    kept = read(warehouse, "from alignment where source = 'shop' order by target")
    assert [row for row in kept if row[1] != "spider-train"] == [
        row for row in before if row[1] != "spider-train"
    ]
    matrix = json.loads(read_artifact("alignment-matrix-nights"))
    assert {row["source"] for row in matrix} == {"shop", "spider-dev", "spider-train"}
    picture = base64.b64decode(read_artifact("picture-of-matrix-nights").partition(";base64,")[2])
    assert b"spider-train" in picture[picture.index(b"<svg") :]
    text = read_artifact("run-summary-nights")
    assert "- Changed: spider-train" in text
    assert "Closest training sets: " in text.partition("## Findings")[2]
    assert "spider-train with spider-dev: " in text.partition("## Drift")[2]
    found = read_artifact("discovery-nights")
    line = "shop: its dump has been gone"
    assert f"## Retired: the dump is gone, its results remain\n\n- {line}" in found
    assert [one.split(" since ")[0] for one in second.retired] == [line]
    assert "pg&#95;stat.csv: not recognized" in found.partition("## Not taken")[2]
    [event] = events("nl2sql-align.drift", second.run_id)
    assert event["resource"]["prefect.resource.id"] == (
        "nl2sql-align.alignment.spider-train.spider-dev"
    )
    assert event["payload"]["drift"] < -0.05

    third = night(prune=True)
    assert corpora() == {"spider-dev": False, "spider-train": False}
    assert third.n_new_pairs == third.n_ingested == 0
    assert [f for f in leftovers(warehouse) if not f.startswith("nightly")] == []


def test_a_ratio_that_crosses_1_sends_an_event(align, corpora, first):
    answers = corpora.dump("dev").read_text().splitlines()
    corpora.add("base", answers, "predictions", target="dev")
    run_id = align(corpora.write(), first.warehouse).run_id
    sent = {
        event["resource"]["prefect.resource.id"]: event["payload"]
        for event in events("nl2sql-align.verdict-changed", run_id)
    }
    payload = sent["nl2sql-align.ratio.near.base"]
    assert payload["previous_alignment_ratio"] > 1 > payload["alignment_ratio"]


def test_a_night_with_only_dumps_being_copied_does_nothing(nightly, dumps, tmp_path):
    assert nightly([dumps], tmp_path / "nights") is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="there is no dump in"):
        nightly([tmp_path / "empty"], tmp_path / "other")


def test_only_transient_errors_are_retried(align):
    from nl2sql_align.flows.running.policy import may_pass

    assert may_pass(OSError(errno.EAGAIN, "busy"))
    assert may_pass(OSError(errno.ESTALE, "a network folder"))
    assert may_pass(duckdb.IOException("Could not read"))
    assert may_pass(DatabaseInUseError("it is open"))
    assert not may_pass(OSError(errno.ENOSPC, "full"))
    assert not may_pass(AlignError("a mistake"))
    assert not may_pass(ValueError("a bug"))


def test_an_unexpected_error_sets_only_its_corpus_aside(align, corpora, first, monkeypatch):
    from nl2sql_align.tasks.run import prepare

    ingest = prepare.ingest_corpus  # patched to fail like a bug, which no dump can provoke

    def fail(entry, destination):
        if entry.name == "far":
            raise ValueError("no idea what this is")
        return ingest(entry, destination)

    monkeypatch.setattr(prepare, "ingest_corpus", fail)
    corpora.add("far", ["SELECT new FROM dump"]).add("more", ["SELECT a FROM b"])
    summary = align(corpora.write(), first.warehouse)
    assert set(summary.corpora) == {"near", "dev", "base", "more"}
    [reason] = summary.set_aside.values()
    assert reason == (
        f"corpus 'far' ({corpora.dump('far')}): ValueError: no idea what this is; "
        "check the dump, and run again"
    )


def test_markup_in_messages_is_escaped():
    from nl2sql_align.flows.running.artifacts import run_summary
    from nl2sql_align.tasks.results.changes import Changes
    from nl2sql_align.tasks.run.summary import RunSummary
    from nl2sql_align.tasks.views.highlights import Highlights

    changes = Changes((), (), (("a", 1, 0.5, "<script>|`x`"),), (), ())
    place, set_aside = "s3://b_b/w`x", {"b": "corpus 'b': **bold** [a](b)"}
    summary = RunSummary("1", place, ("a",), set_aside, 0, 0, 0, 1, 1, {"ingest": 0.1})
    sentences = ["Closest: a_b to c.", "Warning: <b>d</b>."]
    text = run_summary(summary, changes, Highlights(sentences, [], [], sentences[1]))
    assert not {"<script>", "**bold**", "[a](b)", "|"} & set(text.split())
    assert "&#60;script&#62;" in text
    # Code shows entities as they are written, so it has none.
    assert "- Results: `` s3://b_b/w`x ``, run `1`" in text
    # Changes and warnings come first.
    beware = "## Beware\n\n- Warning: &#60;b"
    parts = ("- New: none", "## Set aside", beware, "## Findings\n\n- Closest: a&#95;b", "## Run")
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_progress_is_written_as_json_lines(capsys):
    from nl2sql_align.flows.running.command import Reporter
    from nl2sql_align.tasks.base.progress import announce
    from nl2sql_align.tasks.views.terminal.console import LogFormat

    reporter = Reporter(LogFormat.JSON)
    with reporter.showing_progress():
        announce("templates", "a: 3 queries", 1, 2, corpus="a", n_queries=3)
        announce("templates", "", 2, 2)
    reporter.report("end", "done é")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["stage"], one["text"], one.get("done")) for one in lines] == [
        ("templates", "a: 3 queries", 1),
        ("end", "done é", None),
    ]
    assert (lines[0]["corpus"], lines[0]["n_queries"]) == ("a", 3)
    assert all(one["time"].endswith("+00:00") for one in lines)
