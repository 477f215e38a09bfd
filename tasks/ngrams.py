"""Counting the n-grams of templates (specification, section 3).

Each distinct template is counted once and weighed by how often it occurs. The places where an
n-gram can start are sorted by the tokens that follow, so that equal n-grams of any length stand
side by side, in the order of their texts, and their counts are sums over ranges. What is compared
are numbers of tokens, never hashes: no two n-grams can be taken for one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

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


Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Text:
    """The tokens of templates, one after the other.

    Attributes:
        utf8: The templates, with a space behind each.
        offsets: Where each token starts in it; each takes all up to the space before the next.
        template: The row of each token's template.
        n_left: How many tokens its template still has at each, itself among them.
        codes: Each token's rank in the vocabulary, from 1; ``max_n`` zeros behind the last token.
        vocabulary: The tokens in the order of their texts.
    """

    utf8: pa.Buffer
    offsets: Integers
    template: Integers
    n_left: Integers
    codes: Integers
    vocabulary: pl.Series


@dataclass(frozen=True)
class _Groups:
    """The n-grams of one length: ``rows`` holds the places where they start, group by group.

    ``rows`` are indices into the sorted places, ``firsts`` where each group begins in them, and
    ``is_ngram`` whether its runs are n-grams.
    """

    n: int
    rows: Integers
    firsts: Integers
    is_ngram: npt.NDArray[np.bool]


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
    templates = templates.sort("example_ordinal")
    text = _read(templates["template"], max_n)
    places, is_new = _sorted_places(text, max_n)
    # Most places are followed by the same tokens as others: they are summed up once, for all n.
    firsts = np.flatnonzero(is_new)
    weights = templates["n_occurrences"].to_numpy().astype(np.int64)[text.template[places]]
    weights = np.add.reduceat(weights, firsts)
    places = np.minimum.reduceat(places, firsts)
    lengths, counts, examples = [], [], []
    for groups in _grouped(text, places, max_n):
        counts.append(np.add.reduceat(weights[groups.rows], groups.firsts)[groups.is_ngram])
        # Templates stand in the order of their ordinals: the first place has the smallest.
        first_places = np.minimum.reduceat(places[groups.rows], groups.firsts)
        examples.append(first_places[groups.is_ngram])
        lengths.append(np.full(len(counts[-1]), groups.n, np.int32))
    ngrams = _ngrams(text, np.concatenate(examples), np.concatenate(lengths))
    owners = text.template[np.concatenate(examples)]
    counted = ngrams.with_columns(
        n_occurrences=np.concatenate(counts),
        example_ordinal=templates["example_ordinal"].to_numpy()[owners],
    )
    order = _order(ngrams)
    return counted if order is None else counted[order]


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
    from scipy.sparse import csc_array

    text = _read(templates, max_n)
    places, _ = _sorted_places(text, max_n)
    lengths, sizes, owners, examples = [], [], [], []
    for groups in _grouped(text, places, max_n):
        size = np.diff(groups.firsts, append=len(groups.rows))
        owners.append(text.template[places[groups.rows[np.repeat(groups.is_ngram, size)]]])
        sizes.append(size[groups.is_ngram])
        examples.append(places[groups.rows[groups.firsts[groups.is_ngram]]])
        lengths.append(np.full(len(examples[-1]), groups.n, np.int32))
    ngrams = _ngrams(text, np.concatenate(examples), np.concatenate(lengths))
    rows, starts = np.concatenate(owners), np.cumsum(np.concatenate([[0], *sizes]))
    counts = csc_array(
        (np.ones(len(rows), np.int64), rows, starts), shape=(len(templates), len(ngrams))
    )
    order = _order(ngrams)
    if order is not None:
        ngrams, counts = ngrams[order], counts[:, order.to_numpy()]
    counts = counts.tocsr()
    counts.sum_duplicates()
    return Incidence(ngrams["ngram"], counts)


def _read(templates: pl.Series, max_n: int) -> _Text:
    rows = np.flatnonzero((templates != "").to_numpy())
    templates = templates.gather(rows)
    glued, ends = _spaced(templates.str.replace_all(_JOINED, f"${{1}}{_GLUE}BY"))
    # Cut behind each space, the text is an Arrow array of the tokens as it stands.
    offsets = np.concatenate(([0], np.flatnonzero(np.frombuffer(glued, np.uint8) == 32) + 1))
    tokens = pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), glued
    ).dictionary_encode()
    vocabulary = pl.Series(tokens.dictionary, dtype=pl.String).str.head(-1)
    order = vocabulary.arg_sort()
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(1, len(order) + 1)
    codes = np.append(rank[tokens.indices.to_numpy()], np.zeros(max_n, np.int64))
    n_tokens = np.diff(np.searchsorted(offsets, ends), prepend=0)
    return _Text(
        utf8=_spaced(templates)[0],
        offsets=offsets,
        template=np.repeat(rows, n_tokens),
        n_left=np.repeat(np.cumsum(n_tokens), n_tokens) - np.arange(len(tokens)),
        codes=codes,
        vocabulary=vocabulary.gather(order),
    )


def _spaced(texts: pl.Series) -> tuple[pa.Buffer, Integers]:
    """Texts in UTF-8, one after the other with a space behind each, and where each then ends."""
    array = (texts + " ").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, ends, utf8 = array.buffers()
    ends = np.frombuffer(ends, np.int64, len(array) + 1)
    return utf8.slice(0, ends[-1]), ends[1:]


def _sorted_places(text: _Text, max_n: int) -> tuple[Integers, npt.NDArray[np.bool]]:
    """The places where an n-gram can start, in the order of up to ``max_n`` tokens there.

    Beside each stands whether these tokens differ from those at the place before.
    """
    n_tokens, bits = len(text.n_left), max(1, len(text.vocabulary).bit_length())
    # As many tokens as go into 63 bits are one number, which sorts as they do.
    width = min(max_n, 63 // bits)
    key = np.zeros(n_tokens, np.int64)
    for i in range(width):
        key = (key << bits) | np.where(text.n_left > i, text.codes[i : i + n_tokens], 0)
    # Ranks of runs of one width, a step apart, are a number for a longer run, which sorts as well.
    while width < max_n:
        step = min(width, max_n - width)
        values, ranks = np.unique(key, return_inverse=True)
        ahead = np.where(text.n_left > step, np.append(ranks[step:] + 1, np.zeros(step, int)), 0)
        key = ranks * (len(values) + 1) + ahead
        width += step
    is_comma = np.append(False, text.vocabulary == ",")
    places = np.flatnonzero(~is_comma[text.codes[:n_tokens]])
    key = key[places]
    order = np.argsort(key)
    return places[order], np.diff(key[order], prepend=-1) != 0


def _grouped(text: _Text, places: Integers, max_n: int) -> Iterator[_Groups]:
    """The groups of equal runs of each length, in the order of their texts."""
    is_comma = np.append(False, text.vocabulary == ",")
    is_word = np.append(False, text.vocabulary.str.contains(r"^[\p{L}_]"))
    steps = np.append(0, (text.vocabulary == "(").cast(int) - (text.vocabulary == ")").cast(int))
    depth = np.append(0, np.cumsum(steps[text.codes]))  # open brackets before each token
    words = np.append(0, np.cumsum(is_word[text.codes]))

    rows = np.arange(len(places))
    is_first = rows == 0
    for n in range(1, max_n + 1):
        at = places[rows]
        last = np.where(text.n_left[at] >= n, text.codes[at + (n - 1)], 0)
        is_first[1:] |= last[1:] != last[:-1]
        # A group ends as one: where its template does, or where a bracket closes that was not
        # opened inside, which no further token can mend.
        alive = (last != 0) & (depth[at + n] >= depth[at])
        rows, is_first, at, last = rows[alive], is_first[alive], at[alive], last[alive]
        firsts = np.flatnonzero(is_first)
        first = at[firsts]
        is_ngram = (
            (depth[first + n] == depth[first])
            & ~is_comma[last[firsts]]
            & (words[first + n] > words[first])
        )
        yield _Groups(n, rows, firsts, is_ngram)


def _ngrams(text: _Text, places: Integers, lengths: npt.NDArray[np.int32]) -> pl.DataFrame:
    """The texts and lengths of the n-grams at some places: ``ngram``, ``ngram_length``."""
    starts = text.offsets[places]
    sizes = text.offsets[places + lengths] - 1 - starts
    frame = pl.DataFrame({"start": starts, "size": sizes, "ngram_length": lengths})
    utf8 = pl.lit(text.utf8.to_pybytes())
    return frame.select(utf8.bin.slice("start", "size").cast(pl.String).alias("ngram"), "ngram_length")


def _order(ngrams: pl.DataFrame) -> pl.Series | None:
    """The order of length and text, or None where it is that of the rows.

    Token by token is text by text but for tokens with a space inside beside the word before it
    (``GROUP BY``, ``GROUP``), and for control characters.
    """
    ngram, length = ngrams["ngram"], ngrams["ngram_length"]
    n = len(ngrams) - 1
    if not ((ngram.head(n) > ngram.tail(n)) & (length.head(n) == length.tail(n))).any():
        return None
    return ngrams.select(pl.arg_sort_by("ngram_length", "ngram")).to_series()
