"""Folders of dumps from strangers: nothing outside is read, and no file stops the others."""

import codecs
import errno
import os
import socket
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError, CorpusError
from nl2sql_align.tasks.ingest.corpora_file import AUTO, CorpusEntry, load_corpora
from nl2sql_align.tasks.ingest.discovery import discover_dumps
from nl2sql_align.tasks.ingest.dumps import digest_dump, ingest_corpus, list_files
from nl2sql_align.tasks.ingest.format_recognition import resolve_format
from nl2sql_align.tasks.measures.options import Resampling
from nl2sql_align.tasks.run.inspection import inspect_dump
from nl2sql_align.tasks.run.local import run_locally
from nl2sql_align.tasks.run.options import JobSettings
from nl2sql_align.tasks.warehouse.folder import Warehouse
from nl2sql_align.tasks.warehouse.regular_files import OutsideError, hold_files, open_regular

pytestmark = pytest.mark.fault

SECRET = "SELECT secret FROM outside\n"
GOOD = "SELECT a FROM boats\n"
LINES = 'role = "train"\nformat = "lines"\ndialect = "sqlite"\n'


@pytest.fixture
def dumps(tmp_path):
    """A folder with a good dump, and a file and a folder outside of it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.sql").write_text(SECRET)
    describe(tmp_path / "dumps" / "good", LINES, GOOD)
    return tmp_path / "dumps"


def describe(folder, description, content=None):
    folder.mkdir(parents=True)
    (folder / "corpus.toml").write_text(description)
    if content is not None:
        (folder / "log.sql").write_text(content)
    return folder


def look(dumps, **options):
    """Search the folder, and return the names of the corpora and the problems."""
    warehouse = Warehouse(dumps.parent / "warehouse")
    later = datetime.now(UTC) + timedelta(hours=1)
    found = discover_dumps([dumps], warehouse, now=later, **options)
    entries = load_corpora(found.corpora) if found.corpora else []
    return {entry.name: entry for entry in entries}, found.problems


def entry(path, **keys):
    keys = {"name": "c", "role": "train", "format": "lines", "dialect": "sqlite"} | keys
    return CorpusEntry(path=path, **keys)


# ---- nothing outside is read ---------------------------------------------------------------------

DESCRIPTIONS = {
    "an absolute path": LINES + 'path = "{outside}/secret.sql"',
    "a relative path": LINES + 'path = "../../outside/secret.sql"',
    "a folder": LINES + 'path = "../../outside"\nglob = "*.sql"',
    "a pattern": LINES + 'path = "{outside}/*.sql"',
    "the root, which is not walked": LINES + 'path = "/"\nglob = "**/secret.sql"',
    "a format to recognize": 'role = "train"\npath = "{outside}"',
    "bounds of its own": LINES + 'path = "{outside}/secret.sql"\nwithin = ["/"]',
    "a list": '[[corpus]]\nname = "bad"\n' + LINES + 'path = "{outside}/secret.sql"',
}


@pytest.mark.parametrize("how", DESCRIPTIONS)
def test_a_description_cannot_name_what_is_outside(dumps, how):
    text = DESCRIPTIONS[how].replace("{outside}", str(dumps.parent / "outside"))
    describe(dumps / "bad", text)
    found, [problem] = look(dumps)
    assert list(found) == ["good"]
    assert f"outside of {dumps}; copy it there, or allow where it leads" in problem
    assert problem.startswith("corpus 'bad' (")


LINKS = {
    "file": ("log.sql", "secret.sql", LINES),
    "file that a path names": ("log.sql", "secret.sql", LINES + 'path = "log.sql"'),
    "file that a glob matches": ("log.sql", "secret.sql", LINES + 'path = "."\nglob = "*.sql"'),
    "folder": ("inner", "", LINES + 'path = "inner"\nglob = "*.sql"'),
    "folder that a glob matches": ("inner", "", LINES + 'path = "."\nglob = "*/*.sql"'),
    "folder that a glob names": ("inner", "", LINES + 'path = "."\nglob = "inner/**/*.sql"'),
    "folder to recognize": ("inner", "", 'role = "train"\npath = "inner"'),
}


@pytest.mark.parametrize("how", LINKS)
def test_links_in_a_dump_cannot_lead_outside(dumps, how):
    name, target, description = LINKS[how]
    (describe(dumps / "bad", description) / name).symlink_to(dumps.parent / "outside" / target)
    found, [problem] = look(dumps)
    assert list(found) == ["good"]
    assert f"bad/{name}): leads to {dumps.parent}/outside" in problem


def test_links_beside_dumps_cannot_lead_outside(dumps):
    (dumps / "root").symlink_to("/")
    (dumps / "described.sql").write_text(GOOD)
    secret = dumps.parent / "outside" / "secret.toml"
    secret.write_text(LINES)
    (dumps / "described.sql.corpus.toml").symlink_to(secret)
    (dumps / "train.json").symlink_to(dumps.parent / "outside" / "secret.sql")
    found, problems = look(dumps)
    assert list(found) == ["good"]
    described, root, data = problems
    assert "described.sql.corpus.toml: " in described and "leads to" in described
    assert data.startswith(f"corpus 'dumps-train' ({dumps}/train.json): leads to")
    assert root.startswith(f"{dumps}/root: leads to /, outside of {dumps}; remove it, or allow")


def test_an_option_widens_the_search(dumps):
    outside = dumps.parent / "outside"
    describe(dumps / "named", LINES + f'path = "{outside}/secret.sql"')
    describe(outside / "more", LINES, GOOD)
    (dumps / "more").symlink_to(outside / "more")
    found, problems = look(dumps, allow=[outside])
    assert sorted(found) == ["good", "more", "named"]
    assert problems == ()
    assert found["named"].within == (dumps, outside)
    assert list_files(found["named"]) == [outside / "secret.sql"]


def test_an_address_is_refused_in_a_folder_of_dumps(dumps):
    describe(dumps / "bad", LINES + 'path = "http://127.0.0.1:9/secret.sql"')
    found, [problem] = look(dumps)
    assert list(found) == ["good"]
    assert "is an address, and the nightly job reads folders only" in problem


def test_a_file_that_a_user_names_may_be_a_link_anywhere(dumps):
    link = dumps.parent / "link.sql"
    link.symlink_to(dumps.parent / "outside" / "secret.sql")
    assert list_files(entry(link)) == [link]
    folder = dumps.parent / "folder"
    folder.symlink_to(dumps.parent / "outside")
    assert list_files(entry(folder, glob="*.sql")) == [folder / "secret.sql"]


def test_links_in_a_folder_that_a_user_names_stay_inside(dumps):
    outside = dumps.parent / "outside"
    (dumps / "good" / "inside.sql").symlink_to("log.sql")
    assert len(list_files(entry(dumps / "good", glob="*.sql"))) == 2
    (dumps / "good" / "out.sql").symlink_to(outside / "secret.sql")
    for keys in ({"path": dumps / "good", "glob": "*.sql"}, {"path": dumps / "good" / "*.sql"}):
        with pytest.raises(CorpusError, match=r"out\.sql\): leads to .*; copy it there, or allow"):
            list_files(entry(**keys))
        assert len(list_files(entry(**keys, within=(outside, dumps)))) == 3


def test_the_files_of_a_hub_cache_are_links_within_their_data_set(tmp_path):
    repository = tmp_path / "datasets--a--b"
    (repository / "blobs").mkdir(parents=True)
    (repository / "blobs" / "0a").write_text(GOOD)
    data = repository / "snapshots" / "1f" / "data"
    data.mkdir(parents=True)
    (data / "train.sql").symlink_to("../../../blobs/0a")
    assert list_files(entry(data, glob="*.sql")) == [data / "train.sql"]
    (data / "train.sql").unlink()
    (data / "train.sql").symlink_to(tmp_path)
    (data / "other.sql").symlink_to(__file__)
    with pytest.raises(CorpusError, match=r"other\.sql\): leads to"):
        list_files(entry(data, glob="*.sql"))


def test_what_was_checked_is_read_whatever_becomes_of_the_path(dumps, tmp_path):
    """A link is put in the place of a file, or of its folder, before it is read."""
    good, secret = dumps / "good" / "log.sql", dumps.parent / "outside" / "secret.sql"
    for small in (0, 1 << 20):
        prefix = tmp_path / f"held-{small}"
        with hold_files([good], (dumps,), prefix, small) as held:
            good.rename(dumps / "good" / "moved.sql")
            good.symlink_to(secret)
            assert held[good].read_text() == GOOD
            assert held[good].name.endswith("-log.sql")
        with pytest.raises(OutsideError), hold_files([good], (dumps,), prefix, small):
            pass
        good.unlink()
        (dumps / "good" / "moved.sql").rename(good)


def test_a_link_that_replaces_a_checked_file_is_not_ingested(dumps, tmp_path, monkeypatch):
    from nl2sql_align.tasks.ingest import dumps as module

    described = entry(dumps / "good" / "log.sql", within=(dumps,))

    def list_and_replace(one):
        sources = list_sources(one)
        one.path.unlink()
        one.path.symlink_to(dumps.parent / "outside" / "secret.sql")
        return sources

    list_sources = module.list_sources
    monkeypatch.setattr(module, "list_sources", list_and_replace)
    with pytest.raises(CorpusError, match="leads to"):
        ingest_corpus(described, tmp_path / "stage" / "queries.parquet")
    assert list((tmp_path / "stage").iterdir()) == []


# ---- no file stops the others --------------------------------------------------------------------


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has a limited length
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def link_device(path):
    path.symlink_to("/dev/zero")


def link_to_itself(path):
    path.symlink_to(path.name)


def link_to_nothing(path):
    path.symlink_to("nothing")


SPECIAL = {
    "pipe": (make_pipe, "it is a pipe, socket or device, not a regular file"),
    "socket": (make_socket, "it is a pipe, socket or device, not a regular file"),
    "device": (link_device, "it is a pipe, socket or device, not a regular file"),
    "loop": (link_to_itself, os.strerror(errno.ELOOP)),
}
PLACES = {
    "a path": ("bad/log.sql", LINES + 'path = "log.sql"'),
    "the only file": ("bad/log.sql", LINES),
    "a glob": ("bad/log.sql", LINES + 'path = "."\nglob = "*.sql"'),
    "a format to recognize": ("bad/log.sql", 'role = "train"\npath = "."\nglob = "*.sql"'),
    "an archive": ("bad/log.zip", LINES + 'path = "log.zip"'),
    "rows beside SQL files": ("bad/rows.jsonl", 'role = "train"\npath = "."'),
    "a shard": ("train-00000-of-00001.parquet", None),
    "a layout": ("train.json", None),
    "a description": ("log.sql.corpus.toml", None),
    "a list": ("bad/corpora.toml", None),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SPECIAL)
def test_a_special_file_is_one_line(dumps, place, kind):
    make, reason = SPECIAL[kind]
    name, description = PLACES[place]
    if description is not None:
        describe(dumps / "bad", description)
    (dumps / name).parent.mkdir(exist_ok=True)
    if place == "rows beside SQL files":
        (dumps / "bad" / "one.sql").write_text(GOOD)
    make(dumps / name)
    found, problems = look(dumps)
    if place in ("a format to recognize", "rows beside SQL files") and not problems:
        with pytest.raises(CorpusError) as caught:
            resolve_format(found.pop("bad"))
        problems = (str(caught.value),)
    assert list(found) == ["good"]
    [problem] = problems
    assert reason in problem or "/dev/zero" in problem or "is a folder" in problem


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_special_file_is_not_opened_wherever_a_user_names_it(tmp_path, kind):
    make, reason = SPECIAL[kind]
    make(tmp_path / "x")
    for open_it in (
        lambda: load_corpora(tmp_path / "x"),
        lambda: inspect_dump(tmp_path / "x"),
        lambda: digest_dump(entry(tmp_path / "x")),
        lambda: resolve_format(entry(tmp_path / "x", format=AUTO)),
        lambda: ingest_corpus(entry(tmp_path / "x"), tmp_path / "stage" / "queries.parquet"),
    ):
        with pytest.raises((CorpusError, ConfigurationError), match=reason):
            open_it()
    with pytest.raises(OSError, match=reason):
        open_regular(tmp_path / "x")


def test_links_that_lead_nowhere_are_lines(dumps):
    link_to_itself(dumps / "loop")
    link_to_nothing(dumps / "gone")
    (dumps / "good" / "self").symlink_to("..")  # a folder that was visited
    found, problems = look(dumps)
    assert list(found) == ["good"]
    assert list(problems) == [
        f"{dumps}/gone: cannot be read ({os.strerror(errno.ENOENT)}); remove or repair it",
        f"{dumps}/loop: cannot be read ({os.strerror(errno.ELOOP)}); remove or repair it",
    ]


@contextmanager
def another_user():
    """Become a user without the rights of root, if this is root."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


def test_what_may_not_be_entered_is_a_line(dumps):
    for parent in (dumps.parent, *dumps.parent.parents):
        if "pytest-of-" in str(parent):
            parent.chmod(0o755)
    describe(dumps / "locked", LINES, GOOD)
    describe(dumps / "file", LINES, GOOD)
    describe(dumps / "named", LINES + 'path = "../locked/log.sql"')
    (dumps / "link").symlink_to("locked/inner")
    (dumps / "locked").chmod(0)
    (dumps / "file" / "log.sql").chmod(0)
    (dumps.parent / "warehouse").mkdir(mode=0o777)
    (dumps.parent / "warehouse").chmod(0o777)
    codecs.lookup("utf-8-sig")  # the other user may not be able to import it
    with another_user():
        found, problems = look(dumps)
        with pytest.raises(CorpusError, match=r"cannot be read \(Permission denied\)"):
            digest_dump(found["file"])
    (dumps / "locked").chmod(0o755)
    assert sorted(found) == ["file", "good"]
    link, folder, named = problems
    denied = "cannot be read (Permission denied); "
    assert link == f"{dumps}/link: {denied}remove or repair it"
    assert folder == f"{dumps}/locked: {denied}check permissions"
    assert named.startswith(f"corpus 'named' ({dumps}/locked/log.sql): {denied}")


# ---- texts that are not SQL are not published ----------------------------------------------------


def test_what_holds_no_sql_publishes_no_text(tmp_path):
    lines = ["boats:x:0:0:harbour:/root:/bin/sh", "rooms:x:1:1:", "rooms:x:1:1:", "a.b: 5 %"]
    (tmp_path / "names.txt").write_text("\n".join(lines))
    (tmp_path / "good.sql").write_text(GOOD)
    entries = [
        entry(tmp_path / "names.txt", name="names"),
        entry(tmp_path / "good.sql", name="good"),
    ]
    warehouse = Warehouse(tmp_path / "warehouse")
    for _ in range(2):  # with a new database, and with a known corpus
        summary = run_locally(entries, warehouse, JobSettings(resampling=Resampling(0)))
        assert summary.set_aside["names"].startswith(
            f"corpus 'names' ({tmp_path}/names.txt): no query has a template in dialect "
            "'sqlite', so its text is not published; check format and dialect; "
            f"nl2sql-align inspect {tmp_path}/names.txt shows its first texts"
        )
        with duckdb.connect(str(warehouse.database), read_only=True) as con:
            texts = con.execute(
                "select distinct sql, raw_sql, db_id, question, id from queries "
                "where corpus = 'names'"
            ).fetchall()
            counts = con.execute(
                "select n_queries, n_rejected, n_distinct_queries, n_rows, n_cleaned from corpora "
                "where corpus = 'names'"
            ).fetchall()
            [kept] = con.execute("select raw_sql from queries where corpus = 'good'").fetchall()
        assert texts == [("", None, None, None, None)]
        assert counts == [(4, 4, 3, 4, 0)]
        assert kept == (GOOD.strip(),)
        for file in warehouse.folder.rglob("*.parquet"):
            assert "boats:x" not in str(pq.read_table(file).to_pylist())
        assert len([*(warehouse.folder / "stages" / "queries").glob("*.parquet")]) == 1
