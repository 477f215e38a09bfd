"""Dumps that change while they are read: a digest is always that of the bytes that were read."""

import hashlib
import itertools
import os
from functools import partial

import pytest

from nl2sql_align.tasks.base.errors import CorpusError
from nl2sql_align.tasks.ingest.changing_dumps import (
    ChangedDumpError,
    identify_dump,
    read_unchanged,
)
from nl2sql_align.tasks.ingest.corpora_file import CorpusEntry

OLD = "select 1\nselect 2\n"
NEW = "select 3\nselect 4\n"


def entry(path, **keys):
    keys = {"format": "lines", **keys}
    return CorpusEntry(name="boats", role="train", dialect="sqlite", path=str(path), **keys)


def digest(texts):
    """Return the digest of a file, or of the files of a folder by their names."""
    if isinstance(texts, str):
        return hashlib.sha256(texts.encode()).hexdigest()
    return digest("".join(f"{digest(text)}  {name}\n" for name, text in sorted(texts.items())))


def contents(path):
    if path.is_file():
        return path.read_text()
    return {file.name: file.read_text() for file in path.iterdir()}


def read(tmp_path, corpus, change, when="read", n_times=1):
    """Read a dump that is changed before its first readings; return its digest and content."""
    n_left = [n_times]

    def read_once(given):
        def change_once():
            if n_left[0]:
                n_left[0] -= 1
                change()

        dump = identify_dump(given)
        with dump.refuse_changes():
            change_once()
            found = contents(given.path)
            if when == "failed":
                raise CorpusError("boats", given.path, "is damaged", "download it again")
        return dump.digest, found

    found = read_unchanged(corpus, tmp_path / "scratch", read_once)
    assert not list((tmp_path / "scratch").glob("*")), "the copy is removed"
    return found


def rewrite(path, text=NEW):
    path.write_text(text)


def rewrite_with_the_old_time(path):
    before = path.stat()
    path.write_text(NEW)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path):
    path.with_suffix(".new").write_text(NEW)
    path.with_suffix(".new").replace(path)


def append(path):
    with path.open("a") as file:
        file.write("select 5\n")


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("change", [rewrite, rewrite_with_the_old_time, replace, append])
def test_a_file_that_changed_once_is_read_as_it_is_now(tmp_path, change, is_old):
    path = tmp_path / "boats.sql"
    path.write_text(OLD)
    if is_old:
        os.utime(path, (0, 0))
    found, text = read(tmp_path, entry(path), partial(change, path))
    assert text == (OLD + "select 5\n" if change is append else NEW)
    assert found == digest(text)


def add(folder):
    (folder / "c.sql").write_text("select 3")


def remove(folder):
    (folder / "a.sql").unlink()


def rename(folder):
    (folder / "a.sql").rename(folder / "c.sql")


def rewrite_one(folder):
    (folder / "b.sql").write_text("select 9")


@pytest.mark.parametrize("change", [add, remove, rename, rewrite_one])
def test_a_folder_that_changed_once_is_read_as_it_is_now(tmp_path, change):
    folder = tmp_path / "dump"
    folder.mkdir()
    for name in "ab":
        (folder / f"{name}.sql").write_text(f"select '{name}'")
    found, texts = read(tmp_path, entry(folder, format="sql_files"), partial(change, folder))
    assert texts == contents(folder)
    assert found == digest(texts)


def test_an_error_that_a_change_may_have_caused_is_no_error_of_the_dump(tmp_path):
    path = tmp_path / "boats.sql"
    path.write_text(OLD)
    with pytest.raises(CorpusError, match="is damaged; download it again") as caught:
        read(tmp_path, entry(path), partial(append, path), when="failed")
    assert caught.value.path == path, "the dump is named, and not its copy"
    # It was read again before it was called damaged: the copy is of the changed file.
    assert not isinstance(caught.value, ChangedDumpError)


def test_a_format_is_recognized_from_the_bytes_that_are_read(tmp_path):
    """The dump becomes one of another format after it was digested."""
    path = tmp_path / "boats.json"
    path.write_text('[{"query": "select 1", "question": "a", "db_id": "b"}]')
    rows = '[{"SQL": "select 2", "question": "a", "db_id": "b", "evidence": ""}]'
    formats = []

    def read_once(given):
        dump = identify_dump(given)
        with dump.refuse_changes():
            if not formats:
                path.write_text(rows)
            formats.append(dump.entry.format)
        return dump

    dump = read_unchanged(entry(path, format="auto"), tmp_path, read_once)
    assert formats == ["spider", "bird"]
    assert dump.digest == digest(rows)


def change_when_opened(monkeypatch, path, change):
    opened = os.open

    def open_changing(opened_path, *args, **keywords):
        if opened_path == path:
            change()
        return opened(opened_path, *args, **keywords)

    monkeypatch.setattr(os, "open", open_changing)


def test_a_growing_log_is_read_up_to_a_line_break(tmp_path, monkeypatch):
    """It grows whenever it is opened, by half a line."""
    path = tmp_path / "boats.log"
    path.write_text(OLD)

    def grow():
        with path.open("a") as file:
            file.write("select 5\nsel")

    change_when_opened(monkeypatch, path, grow)
    found, text = read(tmp_path, entry(path), lambda: None)
    assert text.startswith(OLD)
    assert text.endswith("\n")
    assert path.read_text().startswith(text)
    assert found == digest(text)


def test_a_dump_that_never_rests_is_set_aside(tmp_path, monkeypatch):
    path = tmp_path / "boats.sql"
    path.write_text(OLD)
    numbers = itertools.count()

    def change():
        with path.open("w") as file:
            file.write(f"select {next(numbers):4}\n")

    change_when_opened(monkeypatch, path, change)
    with pytest.raises(CorpusError, match="changes while it is read; run again") as caught:
        read(tmp_path, entry(path), lambda: None)
    assert caught.value.path == path
    assert not list(tmp_path.glob("scratch/*"))
