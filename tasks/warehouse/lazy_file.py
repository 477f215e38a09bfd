"""A file that threads can share, and that is fetched when its bytes are read."""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path


class LazyFile(io.RawIOBase):
    """A file for reading, such as a Parquet file whose footer is known.

    DuckDB reads the footer of each file of a view first, and then only the files that can have rows
    of the query. To find the footer, it also reads some bytes before it, all of them if the
    file is small, and ignores them: if the footer is known, those are zeros here. If it used them,
    it would report an error: no page starts with zeros.

    Threads of DuckDB share a file: each has a position of its own. In a common file, they would
    read at each other's positions.

    Attributes:
        size: Bytes.
    """

    def __init__(self, size: int, end: bytes, locate: Callable[[], Path]) -> None:
        """Open a file at its start.

        Args:
            size: Bytes.
            end: The last bytes, if they are known before the file is here.
            locate: Returns a copy of the whole file.
        """
        self.size = size
        self._end = end
        self._locate = locate
        self._whole: io.FileIO | None = None
        self._positions = threading.local()
        self._opening = threading.Lock()

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read from any position."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return int(getattr(self._positions, "here", 0))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position, and return it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.tell(), os.SEEK_END: self.size}[whence]
        self._positions.here = start + offset
        return start + offset

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        position = self.tell()
        n_left = max(0, self.size - position)
        n_bytes = n_left if size < 0 else min(size, n_left)
        in_end = position - (self.size - len(self._end))
        if in_end >= 0:
            found = self._end[in_end : in_end + n_bytes]
        elif self._end and n_bytes == n_left and self._whole is None:
            found = bytes(-in_end) + self._end
        else:
            found = os.pread(self._open().fileno(), n_bytes, position)
        self._positions.here = position + len(found)
        return found

    def close(self) -> None:
        """Close the file."""
        if self._whole is not None:
            self._whole.close()
        super().close()

    def _open(self) -> io.FileIO:
        with self._opening:
            if self._whole is None:
                self._whole = io.FileIO(self._locate())
            return self._whole
