"""Counting the n-grams of templates (specification, section 3).

Each distinct template is counted once and weighed by how often it occurs. All windows of one length
are handled by a few vector operations: a window of n tokens is known by the pair (window of its
first n-1 tokens, last token), renumbered at each n, so that equal numbers mean equal n-grams and
hash collisions cannot happen. Windows that no longer token can make valid are dropped on the way.
"""

import re
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

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
    if templates.is_empty():
        return pl.DataFrame(schema=COUNTS_SCHEMA)
    lists = token_lists(templates["template"])
    lengths = lists.list.len().to_numpy().astype(np.int64)
    tokens = lists.explode()
    encoded = pc.dictionary_encode(tokens.to_arrow().cast(pa.large_string()))
    codes = encoded.indices.to_numpy().astype(np.int64)
    vocabulary = pl.Series(encoded.dictionary)
    ends = np.repeat(np.cumsum(lengths), lengths)  # per token: where its template ends
    template_of = np.repeat(np.arange(len(lengths)), lengths)
    weights = templates["n_occurrences"].to_numpy().astype(np.int64)

    is_comma = (vocabulary == ",").to_numpy()[codes]
    is_word = vocabulary.str.contains(r"^[\p{L}_]").to_numpy()[codes]
    steps = (vocabulary == "(").to_numpy().astype(np.int64) - (vocabulary == ")").to_numpy()
    depth = np.concatenate(([0], np.cumsum(steps[codes])))  # open brackets before each token
    words = np.concatenate(([0], np.cumsum(is_word)))
    characters = vocabulary.str.len_chars().to_numpy().astype(np.int64)[codes] + 1
    offsets = np.concatenate(([0], np.cumsum(characters)))
    template_offsets = offsets[np.cumsum(lengths) - lengths]

    frames: list[pl.DataFrame] = []
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
            break
        grown = pc.dictionary_encode(pa.array(numbers * len(vocabulary) + codes[last]))
        numbers = grown.indices.to_numpy().astype(np.int64)
        valid = (
            (depth[last + 1] == depth[starts]) & ~is_comma[last] & (words[last + 1] > words[starts])
        )
        if not valid.any():
            continue
        # Windows stand in the order of templates, so that the first of each n-gram is its example.
        of_ngram, first, inverse = np.unique(numbers[valid], return_index=True, return_inverse=True)
        at = starts[valid][first]
        owner = template_of[at]
        # Sums of counts stay below 2**53, where floats are exact.
        counts = np.bincount(
            inverse, weights=weights[template_of[starts[valid]]], minlength=len(of_ngram)
        )
        frames.append(
            pl.DataFrame(
                {
                    "template": templates["template"].gather(owner),
                    "offset": offsets[at] - template_offsets[owner],
                    "length": offsets[at + n] - offsets[at] - 1,
                    "n_occurrences": counts.astype(np.int64),
                    "example_ordinal": templates["example_ordinal"].gather(owner),
                }
            )
            .select(
                pl.col("template").str.slice("offset", "length").alias("ngram"),
                pl.lit(n, pl.Int32).alias("ngram_length"),
                "n_occurrences",
                "example_ordinal",
            )
            .sort("ngram")
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema=COUNTS_SCHEMA)
