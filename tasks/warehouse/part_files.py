"""Files of a corpus: one Parquet file, or a folder of several if the corpus is large."""

import shutil
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path, PurePosixPath

from nl2sql_align.tasks.warehouse.ownership import is_partition, list_stage_files


def list_parts(place: Path) -> list[Path]:
    """Return the Parquet files of a place: the file itself, or all parts in a folder."""
    return sorted(place.glob("part-*.parquet")) if place.is_dir() else [place]


def find_complete(file: Path) -> Path | None:
    """Return where the data of a file is stored: in the file, or in a folder of parts instead.

    Returns:
        The file or the folder; None if both are missing or incomplete.
    """
    places = (file, parts_folder(file))
    return next((place for place in places if is_complete(place)), None)


def is_complete(place: Path) -> bool:
    """Return whether a file exists, or a folder with all parts."""
    names = [path.name for path in list_parts(place)]
    if place.is_dir():
        return names == [part_name(i, len(names)) for i in range(len(names))] != []
    return place.is_file()


def count_distinct_ngrams(counts: Path) -> int:
    """Return the number of distinct n-grams of a corpus."""
    # Loads NumPy, whose settings must be in the environment by then.
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(file).num_rows for file in list_parts(counts))


def parts_folder(file: Path) -> Path:
    """Return the folder of parts that replaces a file."""
    return file.with_suffix("")


def part_name(part: int, n_parts: int) -> str:
    """Return the file name of one of the parts of a folder."""
    return f"part-{part:03}-of-{n_parts:03}.parquet"


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
