"""The alignment of every ordered pair of corpora (specification, section 4).

Pairs are known by the content of their corpora, not by their names: sums that an earlier run made
are used again, and only pairs with new content are joined.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.engine import connect
from tasks.sqlfiles import query_sql, run_sql
from tasks.warehouse import stage_key, written_whole

MATRIX_VERSION: Final = 1
"""Goes up with every change that can alter a measure."""

SKEW: Final = 0.01
"""How much of the source is mixed into the target it is compared with."""

EPSILON: Final = 1e-8
"""What the additive divergence adds to each probability."""

CONTRIBUTIONS_PER_PAIR: Final = 20
"""How many n-grams of each direction are published for a pair."""


@dataclass(frozen=True)
class Content:
    """What a corpus contributes to the matrix; corpora of equal content have equal keys."""

    key: str
    corpus: str
    ngrams: Path
    templates: Path
    is_target: bool


@dataclass(frozen=True)
class MatrixReport:
    """Where the measures stand, and for how many ordered pairs they were made anew."""

    pairs: Path
    contributions: Path
    n_pairs: int
    n_new: int


def measures_key(skew: float = SKEW, epsilon: float = EPSILON) -> str:
    """The part of the matrix files' names that tells by which rules they were made."""
    return stage_key(version=MATRIX_VERSION, skew=skew, epsilon=epsilon, n=CONTRIBUTIONS_PER_PAIR)[
        :12
    ]


def compute_matrix(
    contents: list[Content], folder: Path, skew: float = SKEW, epsilon: float = EPSILON
) -> MatrixReport:
    """Measures all ordered pairs of contents, and writes them into two new files.

    Args:
        contents: The corpora that have n-grams.
        folder: Where the files of earlier runs stand, and the new ones go; files that are no longer
            needed are removed.
        skew: The smoothing of the main divergence.
        epsilon: The smoothing of the additive divergence.

    Returns:
        The files: one row per ordered pair of content keys with all measures, and the n-grams that
        make most of the divergence of each pair whose target has that role.
    """
    # Corpora of equal content are one here; it is a target where one of them is.
    targets = sorted({content.key for content in contents if content.is_target})
    unique = {content.key: content for content in contents}
    contents = [replace(unique[key], is_target=key in targets) for key in sorted(unique)]
    rules = measures_key(skew, epsilon)
    name = stage_key(rules=rules, contents=sorted(unique), targets=targets)
    pairs = folder / f"pairs-{rules}-{name}.parquet"
    contributions = folder / f"contributions-{rules}-{name}.parquet"
    if pairs.exists() and contributions.exists():
        return MatrixReport(pairs, contributions, len(contents) ** 2, 0)
    known = _known(folder, rules, sorted(unique), targets)
    with connect() as con:
        new = _measure(con, contents, known, skew, epsilon)
    for kind, path in (("pairs", pairs), ("contributions", contributions)):
        tables = [table for table in (known.get(kind), new[kind]) if table is not None]
        keys = [(name, "ascending") for name in _ORDER if name in new[kind].column_names]
        with written_whole(path) as temporary:
            pq.write_table(pa.concat_tables(tables).sort_by(keys), temporary, compression="zstd")
    for old in folder.glob("*.parquet"):
        if old not in (pairs, contributions):
            old.unlink()
    return MatrixReport(pairs, contributions, len(contents) ** 2, new["pairs"].num_rows)


_ORDER: Final = ("source_key", "target_key", "direction", "rank")
_CONTENTS: Final = pa.schema(
    [
        ("content_key", pa.string()),
        ("corpus", pa.string()),
        ("templates_file", pa.string()),
        ("is_target", pa.bool_()),
    ]
)


def _known(folder: Path, rules: str, keys: list[str], targets: list[str]) -> dict[str, pa.Table]:
    """What the last run measured of these contents, and the n-grams behind it for these targets.

    What it said of former targets is left out: it says nothing of sources that came since.
    """
    runs = [
        {"pairs": pairs, "contributions": contributions}
        for pairs in folder.glob(f"pairs-{rules}-*.parquet")
        # A run that was killed between its two files has measured nothing.
        if (contributions := folder / f"contributions-{pairs.name.partition('-')[2]}").exists()
    ]
    if not runs:
        return {}
    last = max(runs, key=lambda files: files["pairs"].stat().st_mtime_ns)
    is_source = pc.field("source_key").isin(pa.array(keys, pa.string()))
    is_target = {
        kind: pc.field("target_key").isin(pa.array(wanted, pa.string()))
        for kind, wanted in (("pairs", keys), ("contributions", targets))
    }
    return {
        kind: pq.read_table(path, filters=is_source & is_target[kind])
        for kind, path in last.items()
    }


def _measure(
    con: duckdb.DuckDBPyConnection,
    contents: list[Content],
    known: Mapping[str, pa.Table],
    skew: float,
    epsilon: float,
) -> dict[str, pa.Table]:
    """The measures of all pairs that are not known yet."""
    rows = [(c.key, c.corpus, str(c.templates), c.is_target) for c in contents]
    columns = list(zip(*rows, strict=True)) or [()] * len(_CONTENTS)
    con.register("given_contents", pa.table([list(c) for c in columns], schema=_CONTENTS))
    for view, kind, column in (
        ("known_keys", "pairs", "source_key"),
        ("known_targets", "contributions", "target_key"),
    ):
        keys = pc.unique(known[kind][column]) if known else pa.array([], pa.string())
        con.register(view, pa.table({"content_key": keys}))
    run_sql(con, "matrix/contents")
    run_sql(
        con,
        "matrix/load_counts",
        ngram_files=[str(content.ngrams) for content in contents],
        epsilon=epsilon,
    )
    run_sql(con, "matrix/pair_sums", skew=skew)
    templates_files = [str(content.templates) for content in contents]
    run_sql(con, "matrix/unit_overlaps", templates_files=templates_files)
    return {
        "pairs": query_sql(con, "matrix/divergences", skew=skew, epsilon=epsilon).to_arrow_table(),
        "contributions": query_sql(
            con, "matrix/contributions", skew=skew, most=CONTRIBUTIONS_PER_PAIR
        ).to_arrow_table(),
    }
