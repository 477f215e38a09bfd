"""Placeholders: Parquet files of a working copy whose data is on the store only.

A placeholder has the name, the size, the time and the footer of its file, so that rows, columns,
statistics and metadata can be read from it. Its data is a hole, which takes no space on disk, after
a sign with which no Parquet file starts: every reader of Parquet reports an error there.

The footers come from the index, one file of the store. It also has small files as a whole, so that
a machine without a copy does not fetch them one by one.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SIGN: Final = b"AWAY"
_MAGIC: Final = b"PAR1"
_END_BYTES: Final = 8  # the length of the footer, and the magic


def is_placeholder(path: Path) -> bool:
    """Return whether a path is a placeholder."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SIGN)) == _SIGN
    except OSError:
        return False


def read_footer(path: Path) -> bytes | None:
    """Return the last bytes of a Parquet file, from its footer on; None for any other file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_BYTES))
        end = file.read()
        n_bytes = int.from_bytes(end[:4], "little") + _END_BYTES
        if end[4:] != _MAGIC or n_bytes + len(_MAGIC) > size:
            return None
        file.seek(size - n_bytes)
        return file.read()


def write_placeholder(path: Path, footer: bytes, size: int, mtime_ns: int) -> None:
    """Write a placeholder.

    Args:
        path: Where to write it.
        footer: The result of ``read_footer``.
        size: The size of the file.
        mtime_ns: The time of its last change.
    """
    with path.open("wb") as file:
        file.write(_SIGN)
        file.seek(size - len(footer))
        file.write(footer)
    os.utime(path, ns=(mtime_ns, mtime_ns))


@dataclass(frozen=True)
class Indexed:
    """A file's entry in the index: the footer of a Parquet file, or the content of another file."""

    sha256: str
    content: bytes


def read_index(path: Path) -> dict[str, Indexed]:
    """Return the rows of an index by the names of the files; nothing if it does not exist."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return {}
    rows = pq.read_table(path).to_pylist()
    return {row["name"]: Indexed(row["sha256"], row["content"]) for row in rows}


def write_index(path: Path, rows: Mapping[str, Indexed]) -> None:
    """Write an index; equal rows give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sorted(rows)
    columns = {
        "name": pa.array(names, pa.string()),
        "sha256": pa.array([rows[name].sha256 for name in names], pa.string()),
        "content": pa.array([rows[name].content for name in names], pa.binary()),
    }
    pq.write_table(
        pa.table(columns), path, compression="zstd", use_dictionary=False, write_statistics=False
    )
