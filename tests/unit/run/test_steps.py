"""Which corpora are complete with which parsed part."""

from pathlib import Path

from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry
from nl2sql_align.tasks.run.prepare import Parts, Prepared
from nl2sql_align.tasks.templates.parser_pool import ParseJob


def prepared(name, key, n_jobs):
    entry = CorpusEntry(
        name=name, role="train", format="lines", dialect="sqlite", path=Path("/dumps", name)
    )
    jobs = tuple(
        ParseJob(Path(f"{key}-texts"), part, Path(f"{key}-{part}"), "sqlite")
        for part in range(n_jobs)
    )
    files = (Path("queries"), Path("templates"), Path("ngrams"))
    return Prepared(entry, "digest", key, key, *files, True, n_jobs, jobs)


def test_a_corpus_is_complete_with_the_last_of_its_parts():
    parts = Parts()
    one, other = prepared("one", "1", 2), prepared("other", "2", 1)
    assert parts.add(one) == one.jobs
    assert parts.add(other) == other.jobs
    assert parts.parsed() == []
    assert parts.done(one.jobs[1]) == []
    assert parts.done(other.jobs[0]) == [other]
    assert parts.done(one.jobs[0]) == [one]


def test_a_content_that_corpora_share_is_parsed_once():
    parts = Parts()
    one, same = prepared("one", "1", 1), prepared("same", "1", 1)
    assert parts.add(one) == one.jobs
    assert parts.add(same) == ()
    assert parts.done(one.jobs[0]) == [one, same]


def test_a_corpus_with_nothing_to_parse_is_complete_at_once():
    parts = Parts()
    one, same, other = prepared("one", "1", 0), prepared("same", "1", 0), prepared("other", "2", 1)
    for each in (one, same, other):
        parts.add(each)
    assert parts.parsed() == [one, same]
