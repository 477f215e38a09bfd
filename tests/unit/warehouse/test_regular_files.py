"""Patterns of files, as ``Path.glob`` understands them, and files that change after their check."""

import os

import pytest

from nl2sql_align.tasks.warehouse.regular_files import (
    OutsideError,
    check_file,
    find_files,
    hold_files,
    is_folder,
    open_regular,
)

PATTERNS = [
    *("*", "*.sql", "a.sql", "**/*.sql", "**/a.sql", "one/*.sql", "*/*.sql", "one/**/*.sql"),
    *("**/two/*.sql", "*/two/*", "**/t*/**/*.sql", "[ab].sql", "nothing/*", "o?e/*.sql", ".*"),
]


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    for name in ("a.sql", "b.sql", ".hidden", "one/a.sql", "one/two/a.sql", "one/two/c.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "link").symlink_to("one")
    (folder / "folder.sql").mkdir()
    return folder


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_matches_what_it_matches_for_pathlib(tree, pattern):
    expected = sorted(path for path in tree.glob(pattern) if not path.is_dir())
    assert find_files(tree, pattern, [tree]) == expected


def test_a_pattern_that_ends_in_any_depth_matches_all_files(tree):
    assert find_files(tree, "one/**") == find_files(tree, "one/**/*")


def test_a_folder_that_a_pattern_matches_must_be_inside(tree):
    assert tree / "link" / "a.sql" in find_files(tree, "*/*.sql", [tree])
    for pattern in ("*/*.sql", "link/**/*.sql"):
        with pytest.raises(OutsideError, match="link'"):
            find_files(tree, pattern, [tree / "one" / "two"])


def test_the_open_file_is_checked(tree, monkeypatch):
    """The path is replaced between the two checks, by a pipe or by a link that leads out."""
    path = tree / "a.sql"
    status = path.stat()
    monkeypatch.setattr(type(path), "stat", lambda *_, **__: status)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="a pipe, socket or device"):
        open_regular(path)
    path.unlink()
    path.symlink_to(tree / "one" / "a.sql")
    with pytest.raises(OutsideError, match=f"leads to {tree}/one/a.sql, outside of {tree}/one/two"):
        open_regular(path, [tree / "one" / "two"])
    with open_regular(path, [tree / "one"]) as file:
        assert file.read() == b"one/a.sql"


def test_files_are_checked_without_opening_them(tree):
    check_file(tree / "link" / "a.sql", [tree])
    with pytest.raises(OutsideError):
        check_file(tree / "link" / "a.sql", [tree / "link" / "two"])
    with pytest.raises(IsADirectoryError):
        check_file(tree / "one")
    with pytest.raises(FileNotFoundError):
        check_file(tree / "nothing")
    assert is_folder(tree / "link")
    assert not is_folder(tree / "a.sql" / "b")
    assert not is_folder(tree / "\0")


def test_files_with_equal_names_are_held_apart(tree, tmp_path):
    files = [tree / "a.sql", tree / "one" / "a.sql", tree / "a.sql"]
    for small in (0, 100):
        with hold_files(files, [tree], tmp_path / f"held-{small}", small) as held:
            assert [held[file].read_text() for file in files] == ["a.sql", "one/a.sql", "a.sql"]
            assert all(file.is_symlink() == (small == 0) for file in held.values())
    long = tree / f"{'ä' * 100}.sql"
    long.write_text("long")
    with hold_files([long], [tree], tmp_path / "held") as held:
        assert held[long].name.endswith("ä.sql")
