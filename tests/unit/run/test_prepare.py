"""Which corpora are ready to be counted after which part is parsed."""

from dataclasses import replace
from pathlib import Path

import pytest

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.prepare import PendingParts, Prepared, check_targets
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
    return PendingParts()


def test_a_corpus_is_parsed_with_the_last_of_its_parts(parts):
    one, other = prepared("one", "1", 2), prepared("other", "2", 1)
    assert parts.add(one) == list(one.jobs)
    assert parts.add(other) == list(other.jobs)
    assert parts.take_parsed() == []
    assert not parts.mark_parsed(one.jobs[1])
    assert parts.take_parsed() == []
    assert parts.mark_parsed(other.jobs[0])
    assert parts.take_parsed() == [other]
    assert parts.mark_parsed(one.jobs[0])
    assert parts.take_parsed() == [one]
    assert parts.take_parsed() == []


def test_texts_that_corpora_share_are_parsed_once(parts):
    one, same = prepared("one", "1", 1), prepared("same", "1", 1)
    assert parts.add(one) == list(one.jobs)
    assert parts.add(same) == []
    assert parts.list_corpora(one.jobs[0]) == ["one", "same"]
    parts.mark_parsed(one.jobs[0])
    assert parts.take_parsed() == [one, same]


def test_a_corpus_without_parts_to_parse_is_parsed_at_once(parts):
    one, same, other = prepared("one", "1", 0), prepared("same", "1", 0), prepared("other", "2", 1)
    for each in (one, same, other):
        parts.add(each)
    assert parts.take_parsed() == [one, same]


def test_predictions_wait_for_their_texts_as_written(parts):
    as_written = prepared("base", "2", 2)
    one = prepared("base", "1", 1, as_written)
    assert parts.add(one) == [*one.jobs, *as_written.jobs]
    assert parts.list_corpora(one.jobs[0]) == ["base"]
    assert parts.list_corpora(as_written.jobs[0]) == []
    assert parts.mark_parsed(one.jobs[0])
    parts.mark_parsed(as_written.jobs[0])
    assert parts.take_parsed() == []
    parts.mark_parsed(as_written.jobs[1])
    assert parts.take_parsed() == [one]


def test_texts_as_written_that_a_corpus_publishes_are_parsed_once_and_counted_as_its_own(parts):
    as_written = prepared("base", "2", 1)
    one = prepared("base", "1", 0, as_written)
    published = replace(prepared("raw", "2", 1), jobs=as_written.jobs)
    assert parts.add(one) == list(as_written.jobs)
    assert parts.add(published) == []
    assert parts.list_corpora(as_written.jobs[0]) == ["raw"]
    parts.mark_parsed(as_written.jobs[0])
    assert parts.take_parsed() == [one, published]


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
