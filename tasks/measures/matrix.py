"""The alignment of every ordered pair of corpora (specification, section 4).

Pairs are known by the content of their corpora, not by their names: sums that an earlier run made
are used again, and only pairs with new content are joined.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.connections import connect, resources
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.measures.divergence import EPSILON, SKEW
from nl2sql_align.tasks.warehouse.count_files import count_distinct_ngrams, count_files
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically

MATRIX_VERSION: Final = 1
"""Goes up with every change that can alter a measure."""


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
    files = {kind: folder / f"{kind}-{rules}-{name}.parquet" for kind in _KINDS}
    n_new = 0
    if not all(path.exists() for path in files.values()):
        known = _known(folder, rules, sorted(unique), targets)
        with connect() as con, ThreadPoolExecutor(1) as pool:
            pool.submit(import_module, "scipy.sparse")  # takes its time, while DuckDB reads
            new = _measure(con, contents, known, skew, epsilon)
        for kind, path in files.items():
            tables = [table for table in (known.get(kind), new[kind]) if table is not None]
            keys = [(name, "ascending") for name in _ORDER if name in new[kind].column_names]
            table = pa.concat_tables(tables).sort_by(keys)
            with write_atomically(path) as temporary:
                pq.write_table(table, temporary, compression="zstd")
        n_new = new["pairs"].num_rows
    for old in folder.glob("*.parquet"):
        if old not in files.values():
            old.unlink()
    return MatrixReport(files["pairs"], files["contributions"], len(contents) ** 2, n_new)


# Terms fall with the probability: mostly, the largest are among so many n-grams of a content.
_CANDIDATES: Final = 2000
# Shared n-grams of a block of pairs: some 12 bytes each at worst, mostly a tenth of that.
_MATCHES_PER_BLOCK: Final = 30_000_000

# What DuckDB and the sparse matrices hold of each count at a time.
_BYTES_PER_COUNT: Final = 100

# What a run leaves to the next one: how many n-grams of a content occur how often, too.
_KINDS: Final = ("pairs", "contributions", "values")
_ORDER: Final = ("source_key", "target_key", "direction", "rank", "content_key", "n_occurrences")
_CONTENTS: Final = pa.schema(
    [
        ("content_key", pa.string()),
        ("corpus", pa.string()),
        ("templates_file", pa.string()),
        ("is_target", pa.bool_()),
    ]
)
_VALUES: Final = pa.schema(
    [("content_key", pa.string()), ("n_occurrences", pa.int64()), ("n_distinct", pa.int64())]
)


def _known(folder: Path, rules: str, keys: list[str], targets: list[str]) -> dict[str, pa.Table]:
    """What the last run measured of these contents, and the n-grams behind it for these targets.

    What it said of former targets is left out: it says nothing of sources that came since.
    """
    runs = [
        {kind: folder / f"{kind}-{pairs.name.partition('-')[2]}" for kind in _KINDS}
        for pairs in folder.glob(f"pairs-{rules}-*.parquet")
    ]
    # A run that was killed between its files has measured nothing.
    whole = [files for files in runs if all(path.exists() for path in files.values())]
    if not whole:
        return {}
    last = max(whole, key=lambda files: files["pairs"].stat().st_mtime_ns)

    def is_one(column: str, wanted: list[str]) -> pc.Expression:
        return pc.field(column).isin(pa.array(wanted, pa.string()))

    filters = {
        "pairs": is_one("source_key", keys) & is_one("target_key", keys),
        "contributions": is_one("source_key", keys) & is_one("target_key", targets),
        "values": is_one("content_key", keys),
    }
    return {kind: pq.read_table(path, filters=filters[kind]) for kind, path in last.items()}


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
    run_sql(con, "measures/matrix/contents")
    values = _values(con, contents, known)
    con.register("given_values", pa.concat_tables([values, known["values"]]) if known else values)
    run_sql(con, "measures/matrix/count_values", epsilon=epsilon, n_candidates=_CANDIDATES)
    run_sql(con, "measures/matrix/pair_sums_table")
    n_partitions = _n_partitions(contents)
    for partition in range(n_partitions):
        _load_counts(con, contents, partition, n_partitions)
        for shared in _shared_values(con):
            con.register("shared_values", shared)
            run_sql(con, "measures/matrix/pair_sums", skew=skew)
            con.unregister("shared_values")
    if n_partitions > 1:  # candidates, of all partitions
        _load_counts(con, contents, with_new=False)
    templates_files = [str(content.templates) for content in contents]
    run_sql(con, "measures/matrix/unit_overlaps", templates_files=templates_files)
    pairs = query_sql(
        con, "measures/matrix/divergences", skew=skew, epsilon=epsilon
    ).to_arrow_table()
    run_sql(con, "measures/matrix/largest_terms", skew=skew, most=CONTRIBUTIONS_PER_PAIR)
    run_sql(con, "measures/matrix/close_directions")
    if _is_filled(con, "open_directions"):
        run_sql(con, "measures/matrix/all_candidates")
        for partition in range(n_partitions):
            if known or n_partitions > 1:  # else every n-gram is there
                _load_counts(con, contents, partition, n_partitions, with_new=False)
            run_sql(con, "measures/matrix/largest_terms", skew=skew, most=CONTRIBUTIONS_PER_PAIR)
    contributions = query_sql(con, "measures/matrix/contributions", most=CONTRIBUTIONS_PER_PAIR)
    return {"pairs": pairs, "contributions": contributions.to_arrow_table(), "values": values}


def _values(
    con: duckdb.DuckDBPyConnection, contents: list[Content], known: Mapping[str, pa.Table]
) -> pa.Table:
    """How many n-grams of each new content occur how often."""
    before = set(known["pairs"]["source_key"].unique().to_pylist()) if known else set()
    files = [str(content.ngrams) for content in contents if content.key not in before]
    if not files:
        return _VALUES.empty_table()
    return (
        query_sql(con, "measures/matrix/values", ngram_files=files).to_arrow_table().cast(_VALUES)
    )


def _n_partitions(contents: list[Content]) -> int:
    """Into how many parts the n-grams are shared out by their hash, so that each fits in memory.

    A power of two, as the number of files of a large corpus is, each of which then goes to one part
    or holds several.
    """
    n_counts = sum(count_distinct_ngrams(content.ngrams) for content in contents)
    return 1 << (n_counts * _BYTES_PER_COUNT // resources().memory_bytes).bit_length()


def _load_counts(
    con: duckdb.DuckDBPyConnection,
    contents: list[Content],
    partition: int = 0,
    n_partitions: int = 1,
    with_new: bool = True,
) -> None:
    wanted = con.execute(
        "select corpus from contents left join candidates using (content_id) "
        "where is_new or candidates.content_id is not null"
    ).fetchall()
    files = {
        content.corpus: _files_of(content.ngrams, partition, n_partitions) for content in contents
    }
    # Where there is nothing to look for, any file finds it.
    vocabulary = [files[corpus] for (corpus,) in wanted] or list(files.values())[:1]
    run_sql(con, "ngrams/partition_of")
    run_sql(
        con,
        "measures/matrix/counts",
        ngram_files=list(chain.from_iterable(files.values())),
        vocabulary_files=list(chain.from_iterable(vocabulary)),
        partition=partition,
        n_partitions=n_partitions,
        with_new=with_new,
    )


def _files_of(counts: Path, partition: int, n_partitions: int) -> list[str]:
    """The files of a corpus's counts that hold n-grams of a partition."""
    files = count_files(counts)
    step = min(len(files), n_partitions)
    return [str(file) for file in files[partition % step :: step]]


def _is_filled(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    return con.execute(f"select 1 from {table} limit 1").fetchone() is not None


def _shared_values(con: duckdb.DuckDBPyConnection) -> Iterator[pa.Table]:
    """How many n-grams have which two counts in two contents, for all pairs with a new content.

    With a row per content and count, and a column per n-gram, that is the product of a sparse
    matrix with its own transpose: each n-gram that two contents share is one addition.

    Yields:
        ``a_value``, ``b_value``, ``n_shared`` for a block of new contents a with all b from the
        first of the block on.
    """
    from scipy.sparse import coo_array

    counts = con.sql("from counts").to_arrow_table()
    value = counts["value_id"].to_numpy()
    ngram = counts["ngram_id"].to_numpy()
    content_of, n_new = _contents_of_values(con)
    if not len(value):
        return
    shape = (len(content_of), int(ngram.max()) + 1)
    incidence = coo_array((np.ones(len(value), np.int32), (value, ngram)), shape=shape).tocsr()
    n_contents = np.bincount(ngram, minlength=shape[1])
    matched = np.bincount(content_of[value], n_contents[ngram]).astype(np.float64)
    del counts, value, ngram

    def product(block: tuple[int, int]) -> pa.Table:
        first, last = block
        result = (incidence[first:] @ incidence[first:last].T.tocsr()).tocoo()
        return pa.table(
            {
                "a_value": pa.array(result.col + np.int32(first), pa.int32()),
                "b_value": pa.array(result.row + np.int32(first), pa.int32()),
                "n_shared": pa.array(result.data, pa.int32()),
            }
        )

    blocks = list(_blocks(content_of[:n_new], matched))
    threads = resources().threads
    with ThreadPoolExecutor(threads) as pool:
        # As many at a time as there are threads: a product can be large.
        for at in range(0, len(blocks), threads):
            some = blocks[at : at + threads]
            yield pa.concat_tables(pool.map(product, some))
            announce("matrix", "", at + len(some), len(blocks))


def _contents_of_values(con: duckdb.DuckDBPyConnection) -> tuple[Integers, int]:
    """Each value's content, numbered in the order of values, and how many values are new ones'."""
    values = con.sql(
        "select content_id, is_new from count_values join contents using (content_id) "
        "order by value_id"
    ).to_arrow_table()
    ids = values["content_id"].to_numpy()
    starts = np.concatenate(([0], (ids[1:] != ids[:-1]).astype(np.int64)))[: len(ids)]
    return np.cumsum(starts), int(pc.sum(values["is_new"]).as_py() or 0)


def _blocks(content_of: Integers, matched: Floats) -> Iterator[tuple[int, int]]:
    """Divides the values of new contents into blocks of whole contents, of a bounded product."""
    first, total = 0, 0.0
    ends = np.flatnonzero(np.diff(content_of, append=-1)) + 1
    for content, end in enumerate(ends.tolist()):
        total += float(matched[content])
        if total >= _MATCHES_PER_BLOCK or content == len(ends) - 1:
            yield first, end
            first, total = end, 0.0
