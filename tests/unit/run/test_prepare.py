"""The parts that corpora share, and changes while corpora are read."""

from dataclasses import replace
from pathlib import Path

import pytest

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.prepare import Prepared, SharedParts, check_targets
from nl2sql_align.tasks.templates.parser_pool import ParseJob


def prepared(name, key, n_jobs, as_written=None):
    entry = CorpusEntry(
        name=name, role="train", format="lines", dialect="sqlite", path=Path("/dumps", name)
    )
    jobs = tuple(
        ParseJob(Path(f"{key}-texts"), part, Path(f"{key}-{part}"), "sqlite")
        for part in range(n_jobs)
    )
    files = (Path("queries"), Path("templates"), Path("ngrams"))
    return Prepared(entry, "digest", key, key, *files, True, n_jobs, jobs, as_written)


@pytest.fixture
def parts():
    return SharedParts()


def test_texts_that_corpora_share_are_parsed_once(parts):
    one, same, other = prepared("one", "1", 2), prepared("same", "1", 2), prepared("other", "2", 1)
    assert parts.add(one) == list(one.jobs)
    assert parts.list_corpora("1") == ["one"]
    assert parts.add(same) == []
    assert parts.add(other) == list(other.jobs)
    assert parts.list_jobs(same) == list(one.jobs)
    assert parts.list_corpora("1") == ["one", "same"]
    assert [parts.find_texts(job) for job in (*one.jobs, *other.jobs)] == ["1", "1", "2"]
    assert (parts.count_jobs("1"), parts.count_jobs("2")) == (2, 1)


def test_predictions_wait_for_their_texts_as_written(parts):
    as_written = prepared("base", "2", 2)
    one = prepared("base", "1", 1, as_written)
    assert parts.add(one) == parts.list_jobs(one) == [*one.jobs, *as_written.jobs]
    assert (parts.list_corpora("1"), parts.list_corpora("2")) == (["base"], [])


def test_texts_as_written_that_a_corpus_publishes_are_parsed_once_and_counted_as_its_own(parts):
    as_written = prepared("base", "2", 1)
    one = prepared("base", "1", 0, as_written)
    published = replace(prepared("raw", "2", 1), jobs=as_written.jobs)
    assert parts.add(one) == list(as_written.jobs)
    assert parts.add(published) == []
    assert parts.list_jobs(published) == list(as_written.jobs)
    assert parts.list_corpora("2") == ["raw"]


def test_predictions_are_compared_with_the_target_that_they_are_arranged_by():
    target = prepared("target", "1", 0)
    asked = replace(prepared("model", "2", 0), asked=target.queries)
    asked = replace(
        asked, entry=asked.entry.model_copy(update={"role": "predictions", "target": "target"})
    )
    outcomes = {"target": target, "model": asked}
    assert check_targets(outcomes) == outcomes
    changed = check_targets(outcomes | {"target": replace(target, queries=Path("others"))})
    assert "its target 'target' changed while both were read; run again" in changed["model"].reason
    assert isinstance(changed["target"], Prepared)
