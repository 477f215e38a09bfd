"""The files in a warehouse folder that belong to the program, which may remove them.

A mark identifies a folder as a warehouse. In such a folder, the program removes only regular files
with names that it gives itself, so that all other files there stay.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.base.errors import WarehouseError

MARK: Final = "stages/owner.txt"
_MARK_TEXT: Final = (
    "The folder above is a warehouse of nl2sql-align, which replaces and removes its files there.\n"
)
_DATABASE: Final = "alignment.duckdb"
_OWN_NAMES: Final = {
    *(_DATABASE, "report.html"),
    *("dumps", "ngrams", "nightly", "queries", "stages"),
}
_N_SHOWN: Final = 3
# A key, or the first part of one behind a sign that no corpus's name contains.
_STAGE: Final = re.compile(r"(?:[A-Za-z0-9._-]*-)?[0-9a-f]{32}|[A-Za-z0-9._-]*~[0-9a-f]{12}")
_PARTITION: Final = re.compile(r"part-\d{3,}-of-\d{3,}\.parquet")
# Names of corpora contain no plus sign.
_TEMPORARY: Final = re.compile(r"\.tmp\+[0-9a-f]{12}\+.+", re.DOTALL)


def name_temporary(name: str, token: str) -> str:
    """Return the name of a file that is being written.

    Args:
        name: Its name once it is complete.
        token: 12 hexadecimal digits.
    """
    return f".tmp+{token}+{name}"


def is_temporary(file: Path) -> bool:
    """Return whether a path is a file, or a link, with the name of one that is being written."""
    return bool(_TEMPORARY.fullmatch(file.name)) and (file.is_symlink() or file.is_file())


def is_stage(path: Path) -> bool:
    """Return whether a path is named like a stage file, or a folder of partitions."""
    return bool(_STAGE.fullmatch(path.name.removesuffix(".parquet")))


def is_partition(name: str) -> bool:
    """Return whether a file is named like a partition of counts."""
    return bool(_PARTITION.fullmatch(name))


def list_stage_files(folder: Path) -> Iterator[Path]:
    """Yield the stage files in a folder, with the partitions in folders of their own."""
    for path in folder.glob("*.parquet"):
        if is_stage(path) and _is_regular(path):
            yield path
    for path in folder.glob("*/part-*.parquet"):
        if is_stage(path.parent) and is_partition(path.name) and _is_regular(path):
            yield path


def check_owner(folder: Path) -> None:
    """Check that the program may use a folder as a warehouse, before it writes anything there.

    It may use a folder that does not exist or has no visible entry, one with its mark, and one with
    a database and stages in its layout, as versions before the mark have made it.

    Raises:
        WarehouseError: The folder contains other files.
        OSError: The folder cannot be read.
    """
    if not folder.is_dir() or (folder / MARK).exists():
        return
    entries = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    others = [name for name in entries if name not in _OWN_NAMES]
    has_layout = {_DATABASE, "ngrams", "stages"} <= {*entries}
    if has_layout or not entries or (_DATABASE in entries and not others):
        return
    shown = ", ".join((others or entries)[:_N_SHOWN])
    more = ", ..." if len(others or entries) > _N_SHOWN else ""
    raise WarehouseError(
        f"{folder} is not a warehouse: it contains other files ({shown}{more}); choose another "
        "--warehouse, or add --force to use it and keep them"
    )


def mark_owner(folder: Path) -> None:
    """Mark a folder as a warehouse of this program."""
    mark = folder / MARK
    if not mark.exists():
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(_MARK_TEXT, encoding="utf-8")


def _is_regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
