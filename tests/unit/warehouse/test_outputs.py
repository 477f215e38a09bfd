"""Files that commands write for users, and files that they leave as they are."""

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.warehouse.outputs import (
    find_output,
    refuse_dumps,
    replace_files,
    write_manifest,
)


def is_page(file):
    return file.read_text().startswith("<html>")


@pytest.mark.parametrize("content", [None, "", "<html> an earlier one"])
def test_a_file_is_written_where_nothing_is_lost(tmp_path, content):
    file = tmp_path / "page.html"
    if content is not None:
        file.write_text(content)
    assert find_output(str(file), "a page", is_page) == file


def test_another_file_is_not_replaced(tmp_path):
    file = tmp_path / "dev.json"
    file.write_text("[]")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for name in ("dev.json", "folder", "broken", "/dev/null"):
        with pytest.raises(ConfigurationError, match="is not a page, so it is not replaced"):
            find_output(tmp_path / name, "a page", is_page)


def test_a_dump_is_not_replaced_whatever_it_is(tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<html>")
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(ConfigurationError, match="a dump that these results were made from"):
        refuse_dumps([tmp_path / "link"], [str(file)])


def write(folder, *names, dumps=()):
    with replace_files(folder, "copy", "copy.json", dumps) as temporary:
        for name in names:
            (temporary / name).write_text("new")
        write_manifest(temporary, "copy", "copy.json", {})


def test_a_folder_of_an_earlier_call_is_replaced(tmp_path):
    folder = tmp_path / "out"
    write(folder, "a", "b")
    write(folder, "b", "c")
    assert {file.name for file in folder.iterdir()} == {"b", "c", "copy.json"}
    with pytest.raises(ConfigurationError, match="a dump that these"):
        write(folder, "c", dumps=[str(folder / "b")])
    assert (folder / "b").exists()


def test_a_manifest_names_no_file_elsewhere(tmp_path):
    (tmp_path / "mine").write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    text = '{"made_by": "nl2sql-align copy", "files": ["../mine", "copy.json", 1]}'
    (folder / "copy.json").write_text(text)
    write(folder, "a")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_failed_call_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), replace_files(tmp_path / "out", "copy", "c.json"):
        1 / 0  # noqa: B018
    assert not (tmp_path / "out").exists()
