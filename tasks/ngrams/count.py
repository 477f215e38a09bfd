"""Counts of the n-grams of templates (specification, section 3).

Each distinct template is counted once, weighted by how often it occurs. The places where an n-gram
can start are sorted by the tokens that follow. Equal n-grams of any length are then next to each
other, in the order of their texts, and their counts are sums over ranges. Tokens are compared by
their numbers and never by hashes, so that no two n-grams are confused.
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

from nl2sql_align.tasks.base.arrays import Integers
from nl2sql_align.tasks.templates.rules import MAX_N

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# One space separates the tokens of a template; these three contain one.
_JOINED: Final = r"\b(ORDER|GROUP|PARTITION) BY\b"
_GLUE: Final = "\x1f"


def split_template(template: str) -> list[str]:
    """Return a template's tokens: the inverse of joining them by spaces."""
    glued = re.sub(_JOINED, rf"\1{_GLUE}BY", template)
    return [token.replace(_GLUE, " ") for token in glued.split(" ")] if template else []


@dataclass(frozen=True)
class _Text:
    """The tokens of all templates in a row.

    Attributes:
        utf8: The templates, each followed by a space.
        offsets: Where each token starts in ``utf8``. It ends before the space before the next.
        template: The row of each token's template.
        n_left: The number of tokens from each token to the end of its template, itself included.
        codes: Each token's rank in the vocabulary, from 1, followed by ``max_n`` zeros.
        vocabulary: The distinct tokens, sorted.
    """

    utf8: pa.Buffer
    offsets: Integers
    template: Integers
    n_left: npt.NDArray[np.int32]
    codes: Integers
    vocabulary: list[str]


@dataclass(frozen=True)
class _Runs:
    """The longest run of tokens from each token that starts an n-gram, sorted.

    Attributes:
        starts: The token where each run starts.
        firsts: The index in ``starts`` of each distinct run's first occurrence.
        n_shared: The number of tokens at the beginning of each distinct run that it shares with the
            distinct run before it.
        valid: For each distinct run, bit n is set if its first n tokens are an n-gram.
    """

    starts: Integers
    firsts: Integers
    n_shared: Integers
    valid: Integers


def count_ngrams(templates: pl.DataFrame, max_n: int = MAX_N) -> pl.DataFrame:
    """Count the n-grams of one corpus, or of a part of one.

    Args:
        templates: A row per distinct template: ``template``, ``n_occurrences`` (the number of
            queries that have it) and ``example_ordinal`` (the ordinal of one of them).
        max_n: The longest n-gram, in tokens.

    Returns:
        A row per distinct n-gram, sorted by length and text: ``ngram``, ``ngram_length`` (tokens),
        ``n_occurrences``, ``example_ordinal`` (the smallest among templates with the n-gram).
    """
    templates = templates.sort("example_ordinal")
    text = _read_tokens(templates["template"], max_n)
    runs = _sorted_runs(text, max_n)
    weights = templates["n_occurrences"].to_numpy().astype(np.int64)[text.template[runs.starts]]
    # The weight of all runs before each distinct one, and at the end of all runs.
    before = np.append(0, np.cumsum(weights))[np.append(runs.firsts, len(weights))]
    # Templates are sorted by ordinal, so an n-gram's first start has its smallest ordinal.
    starts = np.minimum.reduceat(runs.starts, runs.firsts)
    lengths, counts, examples = [], [], []
    for n, firsts, is_ngram in _prefixes(runs, max_n):
        counts.append(np.diff(before[firsts], append=before[-1])[is_ngram])
        examples.append(np.minimum.reduceat(starts, firsts)[is_ngram])
        lengths.append(np.full(len(counts[-1]), n, np.int32))
    example = np.concatenate(examples)
    ordinals = templates["example_ordinal"].to_numpy()[text.template[example]]
    ngrams = _ngrams(
        text,
        example,
        np.concatenate(lengths),
        n_occurrences=np.concatenate(counts),
        example_ordinal=ordinals,
    )
    order = _sorting_order(ngrams)
    return ngrams if order is None else ngrams[order]


@dataclass(frozen=True)
class Incidence:
    """The count of each n-gram in each template.

    ``counts`` is a sparse matrix (CSR, int64) with a row per template and a column per n-gram of
    ``ngrams``. A corpus with ``w`` queries per template has the n-gram counts ``w @ counts``.
    """

    ngrams: pl.Series
    counts: "csr_array"


def ngram_incidence(templates: pl.Series, max_n: int = MAX_N) -> Incidence:
    """Count the n-grams of each template.

    Args:
        templates: Distinct templates; an empty one has no n-grams.
        max_n: The longest n-gram, in tokens.

    Returns:
        The matrix, with the n-grams sorted by length and text.
    """
    from scipy.sparse import csc_array

    text = _read_tokens(templates, max_n)
    runs = _sorted_runs(text, max_n)
    lengths, sizes, owners, examples = [], [], [], []
    for n, firsts, is_ngram in _prefixes(runs, max_n):
        begins = runs.firsts[firsts]
        size = np.diff(begins, append=len(runs.starts))
        sizes.append(size[is_ngram])
        owners.append(text.template[runs.starts[np.repeat(is_ngram, size)]])
        examples.append(runs.starts[begins[is_ngram]])
        lengths.append(np.full(len(sizes[-1]), n, np.int32))
    ngrams = _ngrams(text, np.concatenate(examples), np.concatenate(lengths))
    rows, columns = np.concatenate(owners), np.cumsum(np.concatenate([[0], *sizes]))
    counts = csc_array(
        (np.ones(len(rows), np.int64), rows, columns), shape=(len(templates), len(ngrams))
    )
    order = _sorting_order(ngrams)
    if order is not None:
        ngrams, counts = ngrams[order], counts[:, order.to_numpy()]
    counts = counts.tocsr()
    counts.sum_duplicates()
    return Incidence(ngrams["ngram"], counts)


@dataclass(frozen=True)
class KnownCounts:
    """Counts of given n-grams in a block of templates, from template ``first`` on.

    ``counts`` is a sparse matrix (CSR, int32) with a row per template and a column per given
    n-gram. ``totals`` is the number of all n-grams of each template.
    """

    first: int
    counts: "csr_array"
    totals: Integers


def ngram_keys(ngrams: pl.Series) -> pl.DataFrame:
    """Return a key of 128 bits for each n-gram, valid in this process only.

    Keys take a tenth of the memory of the texts. Two n-grams have the same key with a probability
    of 2**-128.
    """
    return pl.DataFrame({"low": ngrams.hash(0), "high": ngrams.hash(1)})


def count_known(
    templates: pl.Series, keys: pl.DataFrame, templates_per_block: int = 4_000
) -> Iterator[KnownCounts]:
    """Count given n-grams in each template.

    Templates are counted in blocks, because most of their n-grams are not among the given ones.

    Args:
        templates: Distinct templates.
        keys: Keys of distinct n-grams, by ``ngram_keys``.
        templates_per_block: How many templates to count at a time.

    Yields:
        The counts of a block of templates, in their order; one empty block if there are none.
    """
    from scipy.sparse import csr_array

    wanted = keys.with_row_index("to")
    for start in range(0, max(1, len(templates)), templates_per_block):
        part = ngram_incidence(templates.slice(start, templates_per_block))
        known = ngram_keys(part.ngrams).with_row_index("column")
        known = known.join(wanted, on=keys.columns, how="inner").sort("column")
        kept = part.counts.tocsc()[:, known["column"].to_numpy()].tocoo()
        # Half the size of 64-bit integers; the counts of a large corpus take hundreds of MB.
        at = (kept.row.astype(np.int32), known["to"].to_numpy().astype(np.int32)[kept.col])
        shape = (part.counts.shape[0], len(keys))
        totals = np.asarray(part.counts.sum(axis=1), np.int64).reshape(-1)
        yield KnownCounts(start, csr_array((kept.data.astype(np.int32), at), shape=shape), totals)


def _read_tokens(templates: pl.Series, max_n: int) -> _Text:
    has_tokens = templates != ""
    rows, templates = np.flatnonzero(has_tokens), templates.filter(has_tokens)
    glued, ends = _to_utf8(templates.str.replace_all(_JOINED, f"${{1}}{_GLUE}BY"))
    # With an offset after each space, the text is an Arrow array of tokens, without a copy.
    offsets = np.append(0, np.flatnonzero(np.frombuffer(glued, np.uint8) == ord(" ")) + 1)
    tokens = pc.dictionary_encode(
        pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), glued)
    )
    vocabulary = [token[:-1] for token in tokens.dictionary.to_pylist()]
    order = sorted(range(len(vocabulary)), key=vocabulary.__getitem__)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    n_tokens = np.diff(np.searchsorted(offsets, ends), prepend=0)
    return _Text(
        utf8=_to_utf8(templates)[0],
        offsets=offsets,
        template=np.repeat(rows, n_tokens),
        n_left=(np.repeat(np.cumsum(n_tokens), n_tokens) - np.arange(len(tokens))).astype(np.int32),
        codes=np.append(rank[tokens.indices.to_numpy()], np.zeros(max_n, np.int64)),
        vocabulary=[vocabulary[i] for i in order],
    )


def _to_utf8(texts: pl.Series) -> tuple[pa.Buffer, Integers]:
    """Return the texts in UTF-8, each followed by a space, and the offset where each ends."""
    array = (texts + " ").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, ends, utf8 = array.buffers()
    ends = np.frombuffer(ends, np.int64, len(array) + 1)
    return utf8.slice(0, ends[-1]), ends[1:]


def _valid_lengths(text: _Text, max_n: int) -> Integers:
    """Return for each token an integer whose bit n is set if the next n tokens are an n-gram."""
    n_tokens = len(text.n_left)
    is_word = pl.Series(["", *text.vocabulary]).str.contains(r"^[\p{L}_]").to_numpy()[text.codes]
    is_comma = np.array([token == "," for token in ["", *text.vocabulary]])[text.codes]
    brackets = {"(": 1, ")": -1}
    steps = np.array([brackets.get(token, 0) for token in ["", *text.vocabulary]])
    # The number of open brackets before each token.
    depth = np.append(0, np.cumsum(steps[text.codes])).astype(np.int32)
    valid = np.zeros(n_tokens, np.int64)
    has_word = np.zeros(n_tokens, np.bool)
    alive = ~is_comma[:n_tokens]
    for n in range(1, max_n + 1):
        inside = depth[n : n + n_tokens] - depth[:n_tokens]
        # Once a bracket is closed that was not opened in the run, no longer run is valid.
        alive &= (text.n_left >= n) & (inside >= 0)
        has_word |= is_word[n - 1 : n - 1 + n_tokens]
        is_ngram = alive & has_word & (inside == 0) & ~is_comma[n - 1 : n - 1 + n_tokens]
        valid |= is_ngram.astype(np.int64) << n
    return valid


def _sorted_runs(text: _Text, max_n: int) -> _Runs:
    """Return the longest n-gram from each token, sorted by tokens."""
    valid = _valid_lengths(text, max_n)
    n_tokens = len(valid)
    # The position of the highest bit. Floats are exact here, for integers below 2**53.
    length = np.frexp(valid)[1] - 1
    bits = max(1, len(text.vocabulary).bit_length())
    key, width = np.zeros(n_tokens, np.int64), 0
    for i in range(max_n):
        # Pack as many tokens as fit into a number, which sorts as they do, and go on with its rank.
        if width + bits > 63:
            values, key = np.unique(key, return_inverse=True)
            width = len(values).bit_length()
        key <<= bits
        key += text.codes[i : i + n_tokens] * (length > i)
        width += bits
    starts = np.flatnonzero(valid)
    key = key[starts]
    order = np.argsort(key)
    starts = starts[order]
    firsts = np.flatnonzero(np.diff(key[order], prepend=-1))
    distinct = starts[firsts]
    n_shared, is_shared = np.zeros(len(firsts), np.int64), np.arange(len(firsts)) > 0
    for i in range(max_n):
        token = text.codes[distinct + i] * (length[distinct] > i)
        is_shared[1:] &= token[1:] == token[:-1]
        n_shared += is_shared
    return _Runs(starts, firsts, n_shared, valid[distinct])


def _prefixes(runs: _Runs, max_n: int) -> Iterator[tuple[int, Integers, npt.NDArray[np.bool]]]:
    """Group the distinct runs by their first n tokens, for each n.

    Yields:
        n, the index of each group's first run, and whether the group is an n-gram.
    """
    for n in range(1, max_n + 1):
        firsts = np.flatnonzero(runs.n_shared < n)
        yield n, firsts, (runs.valid[firsts] >> n & 1).astype(np.bool)


def _ngrams(
    text: _Text, starts: Integers, lengths: npt.NDArray[np.int32], **columns: Integers
) -> pl.DataFrame:
    """Return a table of runs: ``ngram`` and ``ngram_length``, then the given columns."""
    offset = text.offsets[starts]
    size = text.offsets[starts + lengths] - 1 - offset
    table = pl.DataFrame({"offset": offset, "size": size, "ngram_length": lengths, **columns})
    ngram = pl.lit(text.utf8.to_pybytes()).bin.slice("offset", "size").cast(pl.String)
    return table.select(ngram.alias("ngram"), "ngram_length", *columns)


def _sorting_order(ngrams: pl.DataFrame) -> pl.Series | None:
    """Return the order by length and text; None if the rows are in this order.

    Rows sorted by tokens are mostly sorted by text. They differ for tokens that contain a space
    next to their first word (``GROUP BY``, ``GROUP``), and for control characters.
    """
    ngram, length = ngrams["ngram"], ngrams["ngram_length"]
    n = len(ngrams) - 1
    if not ((ngram.head(n) > ngram.tail(n)) & (length.head(n) == length.tail(n))).any():
        return None
    return ngrams.select(pl.arg_sort_by("ngram_length", "ngram")).to_series()
