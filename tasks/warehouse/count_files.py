"""Files of n-gram counts: one per corpus, or a folder of partitions."""

import shutil
from collections.abc import Set as AbstractSet
from pathlib import Path

import pyarrow.parquet as pq


def count_files(counts: Path) -> list[Path]:
    """The Parquet files of a corpus's n-gram counts: one, or the partitions in a folder."""
    return sorted(counts.glob("part-*.parquet")) if counts.is_dir() else [counts]


def remove_others(folder: Path, used: AbstractSet[Path]) -> None:
    """Removes the stage files in a folder, and folders of partitions, that are not used."""
    for file in {*folder.glob("*.parquet")} - used:
        file.unlink()
    for partitions in {file.parent for file in folder.glob("*/part-*.parquet")} - used:
        shutil.rmtree(partitions)


def counts_at(file: Path) -> Path | None:
    """Where the counts stand that belong into a file: there, or in a folder of that name.

    None where they are not there, or not all of them.
    """
    return next(
        (counts for counts in (file, partitions_folder(file)) if are_complete(counts)), None
    )


def are_complete(counts: Path) -> bool:
    """Whether the n-gram counts of a corpus are all there."""
    names = [path.name for path in count_files(counts)]
    if counts.is_dir():
        return names == [partition_name(i, len(names)) for i in range(len(names))] != []
    return counts.is_file()


def n_ngrams(counts: Path) -> int:
    """The number of distinct n-grams of a corpus."""
    return sum(pq.read_metadata(file).num_rows for file in count_files(counts))


def partitions_folder(file: Path) -> Path:
    """Return the folder that takes the place of a file of counts."""
    return file.with_suffix("")


def partition_name(partition: int, n_partitions: int) -> str:
    """Return the file name of one partition of a corpus's counts."""
    return f"part-{partition:03}-of-{n_partitions:03}.parquet"
