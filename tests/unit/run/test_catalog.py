"""The catalog of public data sets."""

import tomllib

import pytest

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.ingest.corpora_file import load_corpora
from nl2sql_align.tasks.run.catalog import describe_entry, format_catalog, list_catalog


def test_its_entries_are_those_of_a_corpora_file(tmp_path):
    entries = list_catalog()
    assert len(entries) >= 20
    assert {entry.role for entry in entries} == {"train", "target"}
    for entry in entries:
        # A data set of the hub may move; a file of a repository is that of a commit.
        assert entry.url.startswith(("hf://datasets/", "https://raw.githubusercontent.com/"))
    pasted = tmp_path / "corpora.toml"
    pasted.write_text(format_catalog(entries))
    assert load_corpora(pasted) == entries


def test_named_entries_are_printed_as_they_are():
    text = format_catalog(list_catalog(["spider-dev"]))
    assert tomllib.loads(text) == {
        "corpus": [
            {
                "name": "spider-dev",
                "role": "target",
                "format": "spider",
                "dialect": "sqlite",
                "path": "hf://datasets/xlangai/spider",
                "license": "CC-BY-SA-4.0",
            }
        ]
    }
    row = describe_entry(list_catalog(["gretel-train"])[0])
    assert (row["license"], row["dialect"]) == ("Apache-2.0", "auto")


def test_an_unknown_name_is_an_error():
    with pytest.raises(ConfigurationError, match=r"has no 'spider-dve'; did you mean 'spider-dev'"):
        list_catalog(["spider-dve"])
