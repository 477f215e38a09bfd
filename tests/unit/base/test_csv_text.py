"""CSV for spreadsheets."""

import csv
import io

import polars as pl
import pytest

from nl2sql_align.tasks.base.csv_text import format_csv


def read(rows):
    return list(csv.DictReader(io.StringIO(format_csv(rows), newline="")))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("-- a comment\nSELECT 1", "'-- a comment\nSELECT 1"),
        ("@sum", "'@sum"),
        ("\t=1", "'\t=1"),
        ("\tboat", "'\tboat"),
        ("\rboat", "'\rboat"),
        ("\nboat", "'\nboat"),
        ("  =1", "'  =1"),
        ("\u00a0@x", "'\u00a0@x"),
        ("\uff1d1", "'\uff1d1"),
        ("'=1", "''=1"),
        ("''\t", "'''\t"),
        ("SELECT a - 1", "SELECT a - 1"),
        ("'harbour'", "'harbour'"),
        (" boat", " boat"),
        ("a\tb\r\nc", "a\tb\r\nc"),
        ("a\x00b\x1b[31mc\x7f\x9b\x85", "a\ufffdb\ufffd[31mc\ufffd\ufffd\ufffd"),
        ("\x07=1", "\ufffd=1"),
        ("", ""),
    ],
)
def test_a_text_is_no_formula_and_holds_no_control_characters(text, cell):
    assert read(pl.DataFrame({"a": [text], "b": [1]})) == [{"a": cell, "b": "1"}]


def test_numbers_and_missing_values_stay(tmp_path):
    rows = pl.DataFrame({"n": [-1, 2], "x": [-0.5, None], "is": [True, False], "s": [None, "a"]})
    assert format_csv(rows) == "n,x,is,s\n-1,-0.5,true,\n2,,false,a\n"


def test_lists_are_joined_before_they_are_escaped():
    rows = pl.DataFrame({"a": [["=1", "b"], ["b", "=1"], []]})
    assert [row["a"] for row in read(rows)] == ["'=1 b", "b =1", ""]


def test_different_texts_stay_different():
    texts = ["=1", "'=1", "''=1", "' =1", " =1", "'\t", "\t"]
    assert len({row["a"] for row in read(pl.DataFrame({"a": texts}))}) == len(texts)
