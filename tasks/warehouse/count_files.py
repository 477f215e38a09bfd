"""Files of n-gram counts: one Parquet file per corpus, or a folder of partitions."""

import shutil
from collections.abc import Set as AbstractSet
from pathlib import Path


def count_files(counts: Path) -> list[Path]:
    """Return the Parquet files of a corpus's n-gram counts: one file, or all partitions."""
    return sorted(counts.glob("part-*.parquet")) if counts.is_dir() else [counts]


def find_counts(file: Path) -> Path | None:
    """Return where the counts for a file name are stored: in the file, or in a folder instead.

    Returns:
        The file or the folder of partitions; None if the counts are missing or incomplete.
    """
    places = (file, partitions_folder(file))
    return next((place for place in places if are_complete(place)), None)


def are_complete(counts: Path) -> bool:
    """Return whether the n-gram counts of a corpus exist with all their partitions."""
    names = [path.name for path in count_files(counts)]
    if counts.is_dir():
        return names == [partition_name(i, len(names)) for i in range(len(names))] != []
    return counts.is_file()


def count_distinct_ngrams(counts: Path) -> int:
    """Return the number of distinct n-grams of a corpus."""
    # Loads NumPy, whose settings must be in the environment by then.
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(file).num_rows for file in count_files(counts))


def partitions_folder(file: Path) -> Path:
    """Return the folder that replaces a file of counts."""
    return file.with_suffix("")


def partition_name(partition: int, n_partitions: int) -> str:
    """Return the file name of one partition of a corpus's counts."""
    return f"part-{partition:03}-of-{n_partitions:03}.parquet"


def remove_unused(folder: Path, used: AbstractSet[Path]) -> None:
    """Remove the Parquet files and the folders of partitions in a folder that are not used."""
    for file in {*folder.glob("*.parquet")} - used:
        file.unlink()
    for partitions in {file.parent for file in folder.glob("*/part-*.parquet")} - used:
        shutil.rmtree(partitions)
