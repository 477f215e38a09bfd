"""The samples that come with the program, and the folder in which the demo puts them."""

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.views.demo import copy_samples


def test_the_samples_are_copied_with_their_corpora_file(tmp_path):
    corpora = copy_samples(tmp_path / "demo")
    entries = load_corpora(corpora)
    assert {entry.role for entry in entries} == {"train", "target", "predictions"}
    assert all(entry.path.is_file() for entry in entries)
    assert not list(corpora.parent.rglob("*.py"))
    assert copy_samples(tmp_path / "demo") == corpora


def test_a_folder_with_other_content_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ConfigurationError, match="is not an empty folder; choose another one"):
            copy_samples(place)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
