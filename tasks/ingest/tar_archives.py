"""Files in tar archives, read in one pass and without ever using their names as paths."""

import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

import pyarrow as pa

_COMPRESSIONS: Final = {
    ".tar": None,
    ".tar.bz2": "bz2",
    ".tar.gz": "gzip",
    ".tar.xz": "xz",
    ".tar.zst": "zstd",
    ".tbz2": "bz2",
    ".tgz": "gzip",
    ".txz": "xz",
}
_CHUNK: Final = 1 << 20
_BLOCK: Final = 512
_EXTENSIONS: Final = frozenset(
    (
        tarfile.GNUTYPE_LONGLINK,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.XHDTYPE,
    )
)
_LARGEST_EXTENSION: Final = 1 << 20


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar archive, by its name."""
    return path.name.lower().endswith(tuple(_COMPRESSIONS))


def check_name(name: str) -> None:
    """Check the name of a file in an archive.

    Raises:
        OSError: It is empty, or outside of the archive.
    """
    if not name:
        raise OSError("it contains a file without a name")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise OSError(f"it names a file outside itself: {name!r}")


def read_members(
    path: Path, is_wanted: Callable[[str], bool], limit: int, max_members: int
) -> Iterator[tuple[str, BinaryIO]]:
    """Yield the names of the wanted files in an archive, each with its content to read.

    Args:
        path: The archive.
        is_wanted: Whether to yield the file with a name.
        limit: The largest unpacked size of the archive in bytes.
        max_members: The largest number of files and folders in it.

    Raises:
        OSError: The archive is damaged or incomplete, unpacks to more than the limits, names a file
            outside itself or twice, or a wanted file is not a regular file.
        tarfile.TarError: It is not a tar archive.
    """
    seen: set[str] = set()
    with (
        _open_unpacked(path, limit) as file,
        tarfile.open(fileobj=cast(Any, file), mode="r|", tarinfo=_Member) as archive,
    ):
        for n_members, member in enumerate(archive, 1):
            if n_members > max_members:
                raise OSError(f"it contains more than {max_members:,} files; unpack it yourself")
            check_name(member.name)
            name = member.name.removeprefix("./")
            if member.isdir() or not is_wanted(name):
                continue
            # A sparse file holds zeros that the archive does not.
            if not member.isreg() or member.issparse():
                kind = "a link" if member.issym() or member.islnk() else "not a plain file"
                raise OSError(f"{name!r} in it is {kind}; unpack it yourself")
            if name in seen:
                raise OSError(f"it contains {name!r} twice; unpack it yourself")
            seen.add(name)
            content = archive.extractfile(member)
            assert content is not None  # as it is a file
            yield name, cast(BinaryIO, content)
        file.check_end()


class _Member(tarfile.TarInfo):
    """A header whose extension, such as a long name, is read into memory only if it is small."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Member":
        """Return the header in a block.

        Raises:
            OSError: It announces an extension that is too large.
        """
        member = super().frombuf(buf, encoding, errors)
        if member.type in _EXTENSIONS and not 0 <= member.size <= _LARGEST_EXTENSION:
            raise OSError(f"it has a header of {member.size:,} bytes")
        return member


class _UnpackedFile:
    """A file that is read up to a limit, and that knows how it ended."""

    def __init__(self, file: BinaryIO, packed_bytes: int, limit: int) -> None:
        self._file = file
        self._packed_bytes = packed_bytes
        self._limit = limit
        self._n_bytes = 0
        self._tail = b""

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._n_bytes += len(data)
        if self._n_bytes > self._limit:
            raise OSError(
                f"it unpacks to more than {self._limit / 1e9:.1f} GB from "
                f"{self._packed_bytes:,} bytes; unpack it yourself if that size is expected"
            )
        self._tail = (self._tail + data)[-2 * _BLOCK :]
        return data

    def check_end(self) -> None:
        """Raise OSError unless the archive ends with the blocks of zeros that mark its end."""
        while self.read(_CHUNK):
            pass
        # Python reads an archive whose last header is cut off or damaged without an error.
        if self._tail != bytes(2 * _BLOCK):
            raise OSError("it is incomplete")


@contextmanager
def _open_unpacked(path: Path, limit: int) -> Iterator[_UnpackedFile]:
    name = path.name.lower()
    compression = next(one for suffix, one in _COMPRESSIONS.items() if name.endswith(suffix))
    packed_bytes = path.stat().st_size
    if compression == "xz":
        with lzma.open(path) as file:
            yield _UnpackedFile(cast(BinaryIO, file), packed_bytes, limit)
    else:
        with pa.input_stream(path, compression=compression) as file:
            yield _UnpackedFile(file, packed_bytes, limit)
