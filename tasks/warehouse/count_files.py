"""Files of a corpus: one Parquet file, or a folder of several if the corpus is large."""

import shutil
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path, PurePosixPath

from nl2sql_align.tasks.warehouse.ownership import is_partition, list_stage_files


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


def gather_files(files: Iterable[Path], destination: Path) -> None:
    """Make a folder of files the destination folder, once all of them are written.

    Args:
        files: All files of the folder; others are removed.
        destination: A folder that is replaced if it exists.
    """
    wanted = set(files)
    [folder] = {file.parent for file in wanted}
    for file in folder.iterdir():
        if file not in wanted:  # left by a worker that died
            file.unlink()
    # An existing folder is incomplete, or its files would not have been written again.
    shutil.rmtree(destination, ignore_errors=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(destination)


def name_below(published: str) -> str:
    """Return the path below the folder of its stage of a file that published results name."""
    path = PurePosixPath(published)
    return f"{path.parent.name}/{path.name}" if is_partition(path.name) else path.name


def remove_unused(folder: Path, used: AbstractSet[Path]) -> None:
    """Remove the stage files in a folder that are not used, by themselves or with their folder."""
    for file in list_stage_files(folder):
        if used.isdisjoint((file, file.parent)):
            file.unlink()
            if file.parent != folder:
                with suppress(OSError):  # it contains other files
                    file.parent.rmdir()
