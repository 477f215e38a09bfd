"""Counting the n-grams of templates (specification, section 3).

Each distinct template is counted once and weighed by how often it occurs. All windows of one length
are handled by a few vector operations: a window of n tokens is known by the pair (window of its
first n-1 tokens, last token), renumbered at each n, so that equal numbers mean equal n-grams and
hash collisions cannot happen. Windows that no longer token can make valid are dropped on the way.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MAX_N: Final = 15
NGRAM_RULES_VERSION: Final = 1
"""Goes up with every change that can alter a count or a column of the n-gram files."""

COUNTS_SCHEMA: Final = {
    "ngram": pl.String,
    "ngram_length": pl.Int32,
    "n_occurrences": pl.Int64,
    "example_ordinal": pl.Int64,
}

# A template's tokens are apart by one space; these three have one inside.
_JOINED: Final = r"\b(ORDER|GROUP|PARTITION) BY\b"
_GLUE: Final = "\x1f"


def split_template(template: str) -> list[str]:
    """A template's tokens; the inverse of joining them by a space."""
    glued = re.sub(_JOINED, rf"\1{_GLUE}BY", template)
    return [token.replace(_GLUE, " ") for token in glued.split(" ")] if template else []


def token_lists(templates: pl.Series) -> pl.Series:
    """The tokens of each template, as lists, with the space inside a token as U+001F."""
    return templates.str.replace_all(_JOINED, f"${{1}}{_GLUE}BY").str.split(" ")


@dataclass(frozen=True)
class _Windows:
    """The valid runs of one length, in the order of their templates and of their starts.

    ``template`` is each run's template (its row), ``ngram`` a number that equal n-grams of this
    length share, ``offset`` and ``length`` its place in the template's text, in characters.
    """

    n: int
    template: npt.NDArray[np.int64]
    ngram: npt.NDArray[np.int64]
    offset: npt.NDArray[np.int64]
    length: npt.NDArray[np.int64]


def count_ngrams(templates: pl.DataFrame, max_n: int = MAX_N) -> pl.DataFrame:
    """Counts the n-grams of one corpus, or of a part of one.

    Args:
        templates: One row per distinct template: ``template``, ``n_occurrences`` (how many queries
            have it) and ``example_ordinal`` (the place of one of them).
        max_n: The longest n-gram, in tokens.

    Returns:
        A row per distinct n-gram, in the order of length and text: ``ngram``, ``ngram_length``
        (tokens), ``n_occurrences``, ``example_ordinal`` (the smallest of the templates that hold
        it).
    """
    templates = templates.filter(pl.col("template") != "").sort("example_ordinal")
    weights = templates["n_occurrences"].to_numpy().astype(np.int64)
    frames: list[pl.DataFrame] = []
    for windows in _valid_windows(templates["template"], max_n):
        # Windows stand in the order of templates, so that the first of each n-gram is its example.
        of_ngram, first, inverse = np.unique(windows.ngram, return_index=True, return_inverse=True)
        owner = windows.template[first]
        # Sums of counts stay below 2**53, where floats are exact.
        counts = np.bincount(inverse, weights=weights[windows.template], minlength=len(of_ngram))
        frames.append(
            pl.DataFrame(
                {
                    "ngram": _texts(templates["template"], windows, first),
                    "ngram_length": pl.Series([windows.n], dtype=pl.Int32).new_from_index(
                        0, len(first)
                    ),
                    "n_occurrences": counts.astype(np.int64),
                    "example_ordinal": templates["example_ordinal"].gather(owner),
                }
            ).sort("ngram")
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema=COUNTS_SCHEMA)


@dataclass(frozen=True)
class Incidence:
    """How often each n-gram occurs in each template: what a corpus's counts are sums of.

    ``counts`` is a sparse matrix (CSR, int64) with a row per template given and a column per
    distinct n-gram of ``ngrams``; a corpus with ``w`` queries per template has the n-gram counts
    ``w @ counts``.
    """

    ngrams: pl.Series
    counts: "csr_array"


def ngram_incidence(templates: pl.Series, max_n: int = MAX_N) -> Incidence:
    """The n-grams of each of some distinct templates.

    Args:
        templates: Distinct templates; an empty one has no n-grams.
        max_n: The longest n-gram, in tokens.

    Returns:
        The matrix, with the n-grams in the order of length and text.
    """
    from scipy.sparse import coo_array

    rows: list[npt.NDArray[np.int64]] = []
    columns: list[npt.NDArray[np.int64]] = []
    ngrams: list[pl.Series] = []
    n_ngrams = 0
    for windows in _valid_windows(templates, max_n):
        _, first, inverse = np.unique(windows.ngram, return_index=True, return_inverse=True)
        texts = _texts(templates, windows, first)
        order = texts.arg_sort().to_numpy()
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        rows.append(windows.template)
        columns.append(n_ngrams + place[inverse])
        ngrams.append(texts.gather(order))
        n_ngrams += len(order)
    at = (np.concatenate([*rows, []]).astype(np.int64), np.concatenate([*columns, []]).astype(int))
    ones = np.ones(len(at[0]), np.int64)
    counts = coo_array((ones, at), shape=(len(templates), n_ngrams)).tocsr()
    return Incidence(pl.concat([pl.Series([], dtype=pl.String), *ngrams]).alias("ngram"), counts)


def _texts(templates: pl.Series, windows: _Windows, at: npt.NDArray[np.int64]) -> pl.Series:
    """The n-grams at these windows."""
    frame = pl.DataFrame(
        {
            "template": templates.gather(windows.template[at]),
            "offset": windows.offset[at],
            "length": windows.length[at],
        }
    )
    return frame.select(pl.col("template").str.slice("offset", "length"))["template"]


def _valid_windows(templates: pl.Series, max_n: int) -> Iterator[_Windows]:
    if not templates.len():
        return
    lists = token_lists(templates)
    lengths = np.where(templates == "", 0, lists.list.len().to_numpy().astype(np.int64))
    tokens = lists.filter(templates != "").explode()
    if not tokens.len():
        return
    encoded = pc.dictionary_encode(tokens.to_arrow().cast(pa.large_string()))
    codes = encoded.indices.to_numpy().astype(np.int64)
    vocabulary = pl.Series(encoded.dictionary)
    ends = np.repeat(np.cumsum(lengths), lengths)  # per token: where its template ends
    template_of = np.repeat(np.arange(len(lengths)), lengths)

    is_comma = (vocabulary == ",").to_numpy()[codes]
    is_word = vocabulary.str.contains(r"^[\p{L}_]").to_numpy()[codes]
    steps = (vocabulary == "(").to_numpy().astype(np.int64) - (vocabulary == ")").to_numpy()
    depth = np.concatenate(([0], np.cumsum(steps[codes])))  # open brackets before each token
    words = np.concatenate(([0], np.cumsum(is_word)))
    characters = vocabulary.str.len_chars().to_numpy().astype(np.int64)[codes] + 1
    offsets = np.concatenate(([0], np.cumsum(characters)))
    template_offsets = offsets[np.cumsum(lengths) - lengths]

    starts = np.flatnonzero(~is_comma)
    # Per window: its n-gram's number among those of its length.
    numbers = np.zeros(len(starts), np.int64)
    for n in range(1, max_n + 1):
        last = starts + (n - 1)
        alive = last < ends[starts]
        # A bracket closed that was not opened inside can be mended by no further token.
        alive[alive] = depth[last[alive] + 1] >= depth[starts[alive]]
        starts, last, numbers = starts[alive], last[alive], numbers[alive]
        if not len(starts):
            return
        grown = pc.dictionary_encode(pa.array(numbers * len(vocabulary) + codes[last]))
        numbers = grown.indices.to_numpy().astype(np.int64)
        valid = (
            (depth[last + 1] == depth[starts]) & ~is_comma[last] & (words[last + 1] > words[starts])
        )
        if valid.any():
            at = starts[valid]
            owner = template_of[at]
            yield _Windows(
                n=n,
                template=owner,
                ngram=numbers[valid],
                offset=offsets[at] - template_offsets[owner],
                length=offsets[at + n] - offsets[at] - 1,
            )
