"""The alignment of every ordered pair of corpora (specification, section 4).

Pairs are stored by the content of their corpora, not by their names: the measures of an earlier run
are reused, and only pairs with new content are joined.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nl2sql_align.tasks.base.arrays import Floats, Integers
from nl2sql_align.tasks.base.child_process import call_in_share
from nl2sql_align.tasks.base.connections import connect, resources
from nl2sql_align.tasks.base.progress import announce
from nl2sql_align.tasks.base.run_sql import query_sql, run_sql
from nl2sql_align.tasks.measures.divergence import EPSILON, SKEW
from nl2sql_align.tasks.measures.options import MATRIX_VERSION
from nl2sql_align.tasks.warehouse.folder import stage_key, write_atomically
from nl2sql_align.tasks.warehouse.object_store import fetch_missing
from nl2sql_align.tasks.warehouse.part_files import (
    count_distinct_ngrams,
    list_parts,
    remove_unused,
)

CONTRIBUTIONS_PER_PAIR: Final = 20
"""The number of n-grams published for each direction of a pair."""


@dataclass(frozen=True)
class Content:
    """A corpus in the matrix. Corpora of equal content have equal keys."""

    key: str
    corpus: str
    ngrams: Path
    templates: Path
    is_target: bool


@dataclass(frozen=True)
class MatrixReport:
    """The files of the matrix, and how many ordered pairs were measured now."""

    pairs: Path
    contributions: Path
    n_pairs: int
    n_new: int


@dataclass(frozen=True)
class Division:
    """How the work is divided. It changes no measure.

    Attributes:
        n_candidates: How many of a content's most frequent n-grams are searched first for the
            largest terms. Terms fall with the probability, so these mostly contain them.
        matches_per_block: How many shared n-grams a block of pairs may have. Each takes 12 bytes at
            worst, and mostly a tenth of that.
        n_partitions: Into how many parts to divide the n-grams and queries; by default, as memory
            allows.
    """

    n_candidates: int = 2000
    matches_per_block: int = 30_000_000
    n_partitions: int | None = None


DEFAULT_DIVISION: Final = Division()

ROWS_PER_STEP: Final = 4_000_000
"""From this number of new rows on, partitions are steps, of about as many rows each.

Rows are the counts of n-grams, and the distinct queries with their templates.
"""


PAIRS_IN_PROCESS: Final = 250_000
"""The measures of this many pairs take some 250 MB, known ones included."""


@dataclass(frozen=True)
class PartitionJob:
    """The sums of all pairs over one partition of the n-grams and queries.

    Attributes:
        contents: As for ``compute_matrix``.
        folder: As for ``compute_matrix``.
        partition: The number of the partition.
        n_partitions: The number of partitions.
        destination: The file to write.
    """

    contents: list[Content]
    folder: Path
    partition: int
    n_partitions: int
    destination: Path


# A run leaves these files to the next one. values: how many n-grams of a content have each count.
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


def measures_key(skew: float = SKEW, epsilon: float = EPSILON) -> str:
    """Return the part of the matrix files' names that identifies the rules they follow."""
    return stage_key(version=MATRIX_VERSION, skew=skew, epsilon=epsilon, n=CONTRIBUTIONS_PER_PAIR)[
        :12
    ]


def compute_matrix(
    contents: list[Content],
    folder: Path,
    skew: float = SKEW,
    epsilon: float = EPSILON,
    division: Division = DEFAULT_DIVISION,
    sums: Sequence[Path] = (),
) -> MatrixReport:
    """Measure all ordered pairs of contents and write them to two new files.

    Args:
        contents: The corpora that have n-grams.
        folder: The folder of this stage's files. Files of earlier runs are reused, then removed.
        skew: The smoothing of the main divergence.
        epsilon: The smoothing of the additive divergence.
        division: How the work is divided.
        sums: The sums over each partition, if ``sum_partition`` has written them.

    Returns:
        The files: all measures of each ordered pair of content keys, and the n-grams with the
        largest terms for each pair with a target.
    """
    contents, files = _name_files(contents, folder, skew, epsilon)
    n_new = 0
    if not all(path.exists() for path in files.values()):
        known = _read_known(folder, measures_key(skew, epsilon), contents)
        if _are_all_known(contents, known):
            new = {kind: table.slice(0, 0) for kind, table in known.items()}
        else:
            with connect() as con:
                new = _measure(con, contents, known, skew, epsilon, division, sums)
        for kind, path in files.items():
            tables = [table for table in (known.get(kind), new[kind]) if table is not None]
            keys = [(name, "ascending") for name in _ORDER if name in new[kind].column_names]
            table = pa.concat_tables(tables).sort_by(keys)
            with write_atomically(path) as temporary:
                pq.write_table(table, temporary, compression="zstd")
        n_new = new["pairs"].num_rows
    remove_unused(folder, {*files.values()})
    return MatrixReport(files["pairs"], files["contributions"], len(contents) ** 2, n_new)


def read_measure(
    pairs: Path, measure: str, target_keys: Iterable[str]
) -> dict[tuple[str, str], float]:
    """Return a measure of all pairs with some targets, by the keys of their contents.

    Args:
        pairs: The measures of all pairs.
        measure: The name of the measure.
        target_keys: The keys of the targets.
    """
    fetch_missing([pairs])
    table = pq.read_table(
        pairs,
        columns=["source_key", "target_key", measure],
        filters=_is_one_of("target_key", target_keys),
    )
    source_keys, target_keys, values = (column.to_pylist() for column in table.columns)
    return dict(zip(zip(source_keys, target_keys, strict=True), values, strict=True))


def _is_one_of(column: str, keys: Iterable[str]) -> pc.Expression:
    return pc.field(column).isin(pa.array(list(keys), pa.string()))


def _name_files(
    contents: list[Content], folder: Path, skew: float, epsilon: float
) -> tuple[list[Content], dict[str, Path]]:
    """Return each content once, in the order of the keys, and the files of their measures."""
    # Corpora of equal content are one content, which is a target if one of them is.
    targets = sorted({content.key for content in contents if content.is_target})
    unique = {content.key: content for content in contents}
    contents = [replace(unique[key], is_target=key in targets) for key in sorted(unique)]
    rules = measures_key(skew, epsilon)
    name = stage_key(rules=rules, contents=sorted(unique), targets=targets)
    return contents, {kind: folder / f"{kind}-{rules}-{name}.parquet" for kind in _KINDS}


def has_many_pairs(contents: list[Content], folder: Path, most: int = PAIRS_IN_PROCESS) -> bool:
    """Return whether ``compute_matrix`` has so much to write that it needs a process of its own.

    Args:
        contents: As for ``compute_matrix``.
        folder: As for ``compute_matrix``.
        most: How many pairs need none.
    """
    contents, files = _name_files(contents, folder, SKEW, EPSILON)
    return len(contents) ** 2 > most and not all(path.exists() for path in files.values())


def divide_pairs(
    contents: list[Content], folder: Path, scratch: Path, rows_per_step: int = ROWS_PER_STEP
) -> list[PartitionJob]:
    """Return the partitions to sum before ``compute_matrix``, if many rows are new.

    Args:
        contents: As for ``compute_matrix``.
        folder: As for ``compute_matrix``.
        scratch: A folder for the sums.
        rows_per_step: The number of rows that a step may have.
    """
    contents, files = _name_files(contents, folder, SKEW, EPSILON)
    if all(path.exists() for path in files.values()):
        return []
    before = _list_measured(folder, measures_key())
    n_new = sum(_count_rows(content) for content in contents if content.key not in before)
    n_steps = 1 << (n_new // rows_per_step).bit_length()
    if n_steps == 1:
        return []
    fetch_missing(file for content in contents for file in (content.ngrams, content.templates))
    n_partitions = max(n_steps, choose_partitions(contents, n_at_a_time=resources().threads))
    return [
        PartitionJob(
            contents, folder, i, n_partitions, scratch / f"sums-{i}-{n_partitions}.parquet"
        )
        for i in range(n_partitions)
    ]


def sum_partition(job: PartitionJob) -> Path:
    """Write the sums of all pairs over one partition, and return the file."""
    call_in_share(_write_sums, job)
    return job.destination


def _write_sums(job: PartitionJob) -> None:
    known = _read_known(job.folder, measures_key(), job.contents)
    with connect() as con:
        _prepare(con, job.contents, known, EPSILON, DEFAULT_DIVISION)
        _sum_pairs(con, job.contents, job.partition, job.n_partitions, SKEW, DEFAULT_DIVISION)
        with write_atomically(job.destination) as temporary:
            query_sql(con, "measures/matrix/sums_to_store").write_parquet(str(temporary))


def choose_partitions(
    contents: list[Content],
    bytes_per_row: int = 150,
    bytes_per_known_row: int = 40,
    n_at_a_time: int = 1,
    known: AbstractSet[str] = frozenset(),
) -> int:
    """Return into how many parts to divide n-grams and queries, by hash, to fit into memory.

    The result is a power of two, like the number of files of a large corpus. So each file is in one
    part, or contains several.

    Args:
        contents: The corpora.
        bytes_per_row: The memory for each count of an n-gram, and for each distinct query, of
            contents that are not known.
        bytes_per_known_row: The memory for each of known contents. Of these, only the n-grams and
            queries that new contents have are loaded, without their texts.
        n_at_a_time: How many parts share the memory.
        known: The keys of contents whose pairs are known.
    """
    n_new = sum(_count_rows(content) for content in contents if content.key not in known)
    n_known = sum(min(n_new, _count_rows(one)) for one in contents if one.key in known)
    n_bytes = (n_new * bytes_per_row + n_known * bytes_per_known_row) * n_at_a_time
    return 1 << (n_bytes // resources().memory_bytes).bit_length()


def _count_rows(content: Content) -> int:
    """Return the number of n-gram counts of a content, and of its distinct queries."""
    n_queries: int = pq.read_metadata(content.templates).num_rows
    return count_distinct_ngrams(content.ngrams) + n_queries


def _find_last_run(folder: Path, rules: str) -> dict[str, Path]:
    """Return the files that the last run has written; an empty dictionary without a run."""
    runs = [
        {kind: folder / f"{kind}-{pairs.name.partition('-')[2]}" for kind in _KINDS}
        for pairs in folder.glob(f"pairs-{rules}-*.parquet")
    ]
    # Ignore a run that was killed between its files.
    complete = [files for files in runs if all(path.exists() for path in files.values())]
    return max(complete, key=lambda files: files["pairs"].stat().st_mtime_ns, default={})


def _list_measured(folder: Path, rules: str) -> set[str]:
    """Return the keys of the contents that the last run measured, without reading its pairs."""
    last = _find_last_run(folder, rules)
    if not last:
        return set()
    fetch_missing([last["values"]])
    keys = pq.read_table(last["values"], columns=["content_key"])["content_key"]
    return set(keys.unique().to_pylist())


def _read_known(folder: Path, rules: str, contents: list[Content]) -> dict[str, pa.Table]:
    """Return the last run's measures of these contents, and the largest terms for targets.

    Terms for contents that are not targets now are dropped: they lack the sources that were added
    since.
    """
    last = _find_last_run(folder, rules)
    if not last:
        return {}
    fetch_missing(last.values())
    keys = [content.key for content in contents]
    targets = [content.key for content in contents if content.is_target]
    filters = {
        "pairs": _is_one_of("source_key", keys) & _is_one_of("target_key", keys),
        "contributions": _is_one_of("source_key", keys) & _is_one_of("target_key", targets),
        "values": _is_one_of("content_key", keys),
    }
    return {kind: pq.read_table(path, filters=filters[kind]) for kind, path in last.items()}


def _are_all_known(contents: Iterable[Content], known: Mapping[str, pa.Table]) -> bool:
    """Return whether all pairs are known, as after a corpus was removed."""
    if not known:
        return False
    targets = set(known["contributions"]["target_key"].unique().to_pylist())
    keys = _list_known(known)
    return all(one.key in keys and (one.key in targets or not one.is_target) for one in contents)


def _measure(
    con: duckdb.DuckDBPyConnection,
    contents: list[Content],
    known: Mapping[str, pa.Table],
    skew: float,
    epsilon: float,
    division: Division,
    sums: Sequence[Path],
) -> dict[str, pa.Table]:
    """Return the measures of all pairs that are not known yet."""
    fetch_missing(file for content in contents for file in (content.ngrams, content.templates))
    values = _prepare(con, contents, known, epsilon, division)
    n_partitions = (
        len(sums) or division.n_partitions or choose_partitions(contents, known=_list_known(known))
    )
    if sums:
        con.read_parquet([str(file) for file in sums]).insert_into("pair_sums")
    else:
        for partition in range(n_partitions):
            _sum_pairs(con, contents, partition, n_partitions, skew, division)
    if n_partitions > 1:  # load the candidates of all partitions
        _load_counts(con, contents, with_new=False)
    run_sql(con, "measures/matrix/templated", templates_files=_list_templates(contents))
    pairs = query_sql(
        con, "measures/matrix/divergences", skew=skew, epsilon=epsilon
    ).to_arrow_table()
    run_sql(con, "measures/matrix/largest_terms", skew=skew, most=CONTRIBUTIONS_PER_PAIR)
    run_sql(con, "measures/matrix/close_directions")
    if _has_rows(con, "open_directions"):
        run_sql(con, "measures/matrix/all_candidates")
        for partition in range(n_partitions):
            _load_counts(con, contents, partition, n_partitions, with_new=False)
            run_sql(con, "measures/matrix/largest_terms", skew=skew, most=CONTRIBUTIONS_PER_PAIR)
    contributions = query_sql(con, "measures/matrix/contributions", most=CONTRIBUTIONS_PER_PAIR)
    return {"pairs": pairs, "contributions": contributions.to_arrow_table(), "values": values}


def _prepare(
    con: duckdb.DuckDBPyConnection,
    contents: list[Content],
    known: Mapping[str, pa.Table],
    epsilon: float,
    division: Division,
) -> pa.Table:
    """Make the tables of contents and their values, and one for sums of pairs.

    Returns:
        How many n-grams of each new content occur how often.
    """
    _register_contents(con, contents, known)
    values = _count_values(con, contents, known)
    con.register("given_values", pa.concat_tables([values, known["values"]]) if known else values)
    run_sql(
        con, "measures/matrix/count_values", epsilon=epsilon, n_candidates=division.n_candidates
    )
    run_sql(con, "measures/matrix/pair_sums_table")
    return values


def _sum_pairs(
    con: duckdb.DuckDBPyConnection,
    contents: list[Content],
    partition: int,
    n_partitions: int,
    skew: float,
    division: Division,
) -> None:
    """Add the sums over one partition to the table of sums."""
    _load_counts(con, contents, partition, n_partitions)
    for shared in _count_shared_values(con, division.matches_per_block):
        con.register("shared_values", shared)
        run_sql(con, "measures/matrix/pair_sums", skew=skew)
        con.unregister("shared_values")
    run_sql(
        con,
        "measures/matrix/unit_sums",
        templates_files=_list_templates(contents),
        partition=partition,
        n_partitions=n_partitions,
    )


def _register_contents(
    con: duckdb.DuckDBPyConnection, contents: list[Content], known: Mapping[str, pa.Table]
) -> None:
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


def _list_known(known: Mapping[str, pa.Table]) -> set[str]:
    """Return the keys of the contents whose pairs are known."""
    return set(known["pairs"]["source_key"].unique().to_pylist()) if known else set()


def _count_values(
    con: duckdb.DuckDBPyConnection, contents: list[Content], known: Mapping[str, pa.Table]
) -> pa.Table:
    """Return how many n-grams of each new content occur how often."""
    before = _list_known(known)
    files = [str(content.ngrams) for content in contents if content.key not in before]
    if not files:
        return _VALUES.empty_table()
    return (
        query_sql(con, "measures/matrix/values", ngram_files=files).to_arrow_table().cast(_VALUES)
    )


def _load_counts(
    con: duckdb.DuckDBPyConnection,
    contents: list[Content],
    partition: int = 0,
    n_partitions: int = 1,
    with_new: bool = True,
) -> None:
    searched = query_sql(con, "measures/matrix/searched_corpora").fetchall()
    files = {
        content.corpus: _list_partition_files(content.ngrams, partition, n_partitions)
        for content in contents
    }
    # DuckDB needs at least one file, even if no corpus is searched.
    vocabulary = [files[corpus] for (corpus,) in searched] or list(files.values())[:1]
    is_divided = any(content.ngrams.is_dir() for content in contents)
    run_sql(con, "ngrams/partition_of" if is_divided else "measures/matrix/partition_by_hash")
    run_sql(
        con,
        "measures/matrix/counts",
        ngram_files=list(chain.from_iterable(files.values())),
        vocabulary_files=list(chain.from_iterable(vocabulary)),
        partition=partition,
        n_partitions=n_partitions,
        with_new=with_new,
    )


def _list_partition_files(counts: Path, partition: int, n_partitions: int) -> list[str]:
    """Return the files of a corpus's counts that contain n-grams of a partition."""
    files = list_parts(counts)
    step = min(len(files), n_partitions)
    return [str(file) for file in files[partition % step :: step]]


def _list_templates(contents: list[Content]) -> list[str]:
    return [str(content.templates) for content in contents]


def _has_rows(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    return con.execute(f"select 1 from {table} limit 1").fetchone() is not None


def _count_shared_values(
    con: duckdb.DuckDBPyConnection, matches_per_block: int
) -> Iterator[pa.Table]:
    """Count the n-grams with each pair of counts in two contents, for all pairs with a new content.

    A value is a content and a count. With a row per value and a column per n-gram, this is the
    product of a sparse matrix and its transpose: one addition for each n-gram that two contents
    share.

    Yields:
        ``a_value``, ``b_value``, ``n_shared`` for a block of new contents a, with all contents b
        from the first of the block on.
    """
    from scipy.sparse import coo_array

    counts = con.sql("from counts").to_arrow_table()
    value = counts["value_id"].to_numpy()
    ngram = counts["ngram_id"].to_numpy()
    content_of, n_new = _read_contents_of_values(con)
    if not len(value):
        return
    shape = (len(content_of), int(ngram.max()) + 1)
    incidence = coo_array((np.ones(len(value), np.int32), (value, ngram)), shape=shape).tocsr()
    n_contents = np.bincount(ngram, minlength=shape[1])
    matches = np.bincount(content_of[value], n_contents[ngram]).astype(np.float64)
    del counts, value, ngram

    def multiply(block: tuple[int, int]) -> pa.Table:
        first, last = block
        product = (incidence[first:] @ incidence[first:last].T.tocsr()).tocoo()
        return pa.table(
            {
                "a_value": pa.array(product.col + np.int32(first), pa.int32()),
                "b_value": pa.array(product.row + np.int32(first), pa.int32()),
                "n_shared": pa.array(product.data, pa.int32()),
            }
        )

    blocks = list(_divide(content_of[:n_new], matches, matches_per_block))
    threads = resources().threads
    with ThreadPoolExecutor(threads) as pool:
        # Only as many products at a time as there are threads, because they can be large.
        for start in range(0, len(blocks), threads):
            some = blocks[start : start + threads]
            yield pa.concat_tables(pool.map(multiply, some))
            announce("matrix", "", start + len(some), len(blocks))


def _read_contents_of_values(con: duckdb.DuckDBPyConnection) -> tuple[Integers, int]:
    """Return the content of each value, and how many values belong to new contents.

    Contents are numbered in the order of their values.
    """
    values = query_sql(con, "measures/matrix/contents_of_values").to_arrow_table()
    ids = values["content_id"].to_numpy()
    starts = np.concatenate(([0], (ids[1:] != ids[:-1]).astype(np.int64)))[: len(ids)]
    return np.cumsum(starts), int(pc.sum(values["is_new"]).as_py() or 0)


def _divide(
    content_of: Integers, matches: Floats, matches_per_block: int
) -> Iterator[tuple[int, int]]:
    """Divide the values of new contents into blocks of whole contents with bounded products."""
    first, total = 0, 0.0
    ends = np.flatnonzero(np.diff(content_of, append=-1)) + 1
    for content, end in enumerate(ends.tolist()):
        total += float(matches[content])
        if total >= matches_per_block or content == len(ends) - 1:
            yield first, end
            first, total = end, 0.0
