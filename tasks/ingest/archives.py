"""Copies of dump files in forms that DuckDB reads: unpacked, as UTF-8, Parquet or JSON lines."""

import codecs
import lzma
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, TypeVar, cast

import pyarrow as pa
import pyarrow.parquet as pq

from nl2sql_align.tasks.ingest.tar_archives import check_name, is_tar, read_members
from nl2sql_align.tasks.ingest.yaml_documents import YAML, convert_yaml

COMPRESSED: Final = frozenset({".bz2", ".gz", ".xz", ".zst"})
ARROW: Final = frozenset({".arrow", ".feather"})

T = TypeVar("T")

_CHUNK: Final = 1 << 20
_SAMPLE: Final = 1 << 20
# In the directory of a zip archive: a flag, and the system that wrote the kinds of files.
_ENCRYPTED: Final = 1
_UNIX: Final = 3
# The exceptions that damaged archives of each kind raise.
_DAMAGE: Final = (
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    pa.ArrowException,
    EOFError,
    NotImplementedError,  # from zipfile: a compression that it does not know
)


@dataclass(frozen=True)
class UnpackLimits:
    """How far compressed files may expand before they are refused as a decompression bomb.

    The sizes apply to each file, to each archive, and to all files of a dump together. Text-to-SQL
    data compresses about 10 times, rarely 100 times; bombs, 1,000 times and more.

    Attributes:
        max_bytes: The largest unpacked size.
        max_ratio: The largest ratio of the unpacked size to the compressed size.
        ratio_applies_from: The unpacked size in bytes from which the ratio is checked.
        max_members: The largest number of files and folders in an archive.
    """

    max_bytes: int = 200_000_000_000
    max_ratio: int = 500
    ratio_applies_from: int = 100_000_000
    max_members: int = 200_000

    def find_limit(self, packed_bytes: int) -> int:
        """Return the largest unpacked size of files with this compressed size."""
        return min(self.max_bytes, max(self.ratio_applies_from, self.max_ratio * packed_bytes))


UNPACK_LIMITS: Final = UnpackLimits()


class _Unpacked:
    """The sizes of a dump's files so far: compressed and unpacked, of the last one and of all."""

    def __init__(self, limits: UnpackLimits) -> None:
        self.limits = limits
        self._packed = [0, 0]
        self._unpacked = [0, 0]

    def start_file(self, packed_bytes: int) -> None:
        """Count the next file, or an archive that is compressed as a whole."""
        self._packed = [packed_bytes, self._packed[1] + packed_bytes]
        self._unpacked[0] = 0

    def add(self, n_bytes: int) -> None:
        """Count bytes of the file.

        Raises:
            OSError: The file, or all files together, expand beyond the limits.
        """
        for index, subject in enumerate(("it unpacks", "its files unpack")):
            self._unpacked[index] += n_bytes
            limit = self.limits.find_limit(self._packed[index])
            if self._unpacked[index] > limit:
                raise OSError(
                    f"{subject} to more than {limit / 1e9:.1f} GB from "
                    f"{self._packed[index]:,} bytes; unpack it yourself if that size is expected"
                )


@dataclass(frozen=True)
class Source:
    """One file of a dump.

    Attributes:
        path: The file, or the archive that contains it.
        member: The name of the file in the archive.
    """

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The file's own name, without a compression suffix."""
        name = PurePosixPath(self.member).name if self.member else self.path.name
        stem, dot, suffix = name.rpartition(".")
        return stem if f"{dot}{suffix}".lower() in COMPRESSED and stem else name

    @property
    def suffix(self) -> str:
        """The suffix of ``name`` in lower case: ``.jsonl`` for ``a.jsonl.gz``."""
        return PurePosixPath(self.name).suffix.lower()


@dataclass(frozen=True)
class Encoding:
    """The encoding of a text, and how many of its characters could not be decoded."""

    name: str = "utf-8"
    n_replaced: int = 0


UTF_8: Final = Encoding()


def is_archive(path: Path) -> bool:
    """Return whether a file is an archive whose files are read, by its name."""
    return path.suffix.lower() == ".zip" or is_tar(path)


_HIDDEN: Final = re.compile(r"(^|/)(\.|__MACOSX/)")


def list_members(
    path: Path, pattern: str | None, limits: UnpackLimits = UNPACK_LIMITS
) -> list[str]:
    """Return the names of the files in an archive, sorted, without hidden files.

    Args:
        path: The archive.
        pattern: Return only the files that match this pattern in any folder.
        limits: How far it may expand.

    Raises:
        OSError: The archive is damaged, encrypted or too large, contains a file twice or a link, or
            names a file outside itself.
    """

    def is_wanted(name: str) -> bool:
        # Archives often contain one folder that contains the files.
        is_match = pattern is None or PurePosixPath(f"/{name}").match(pattern)
        return is_match and not _HIDDEN.search(name.removeprefix("./"))

    with _raise_damage_as_oserror():
        if is_tar(path):
            return sorted(name for name, _ in _read_tar(path, is_wanted, limits))
        with _open_zip(partial(zipfile.ZipFile, path)) as archive:
            return sorted(one.filename for one in _find_members(archive, is_wanted, limits))


def _read_tar(
    path: Path, is_wanted: Callable[[str], bool], limits: UnpackLimits
) -> Iterator[tuple[str, BinaryIO]]:
    limit = limits.find_limit(path.stat().st_size)
    return read_members(path, is_wanted, limit, limits.max_members)


def _open_zip(opening: Callable[[], T]) -> T:
    """Return a zip archive, or a file in it; a number or name that cannot be one is damage."""
    try:
        return opening()
    except (ValueError, struct.error) as error:
        raise OSError(f"its directory is damaged: {error}") from None


def _find_members(
    archive: zipfile.ZipFile, is_wanted: Callable[[str], bool], limits: UnpackLimits
) -> list[zipfile.ZipInfo]:
    """Return the wanted files of an archive, in the order of their content."""
    if len(archive.infolist()) > limits.max_members:
        raise OSError(f"it contains more than {limits.max_members:,} files; unpack it yourself")
    wanted: list[zipfile.ZipInfo] = []
    names: set[PurePosixPath] = set()
    end = 0
    for member in sorted(archive.infolist(), key=lambda one: one.header_offset):
        name = member.filename
        check_name(name)
        if member.flag_bits & _ENCRYPTED:
            raise OSError("it is encrypted")
        # A bomb may use the same compressed bytes for all of its files.
        if member.header_offset < end:
            raise OSError("its files overlap")
        end = member.header_offset + member.compress_size
        if member.is_dir() or not is_wanted(name):
            continue
        kind = stat.S_IFMT(member.external_attr >> 16)
        if member.create_system == _UNIX and kind not in (0, stat.S_IFREG):
            what = "a link" if kind == stat.S_IFLNK else "not a plain file"
            raise OSError(f"{name!r} in it is {what}; unpack it yourself")
        if PurePosixPath(name) in names:
            raise OSError(f"it contains {name!r} twice; unpack it yourself")
        names.add(PurePosixPath(name))
        wanted.append(member)
    return wanted


@contextmanager
def open_source(source: Source, limits: UnpackLimits = UNPACK_LIMITS) -> Iterator[BinaryIO]:
    """Open a file for reading, and unpack it while it is read.

    Raises:
        OSError: The file cannot be read, or its compression is damaged.
    """
    path, member = source.path, source.member
    with _raise_damage_as_oserror():
        if member is not None:
            _check_packed_once(member)
        if member is not None and is_tar(path):
            for _, content in _read_tar(path, member.__eq__, limits):
                yield content
                return
        elif member is not None:
            with _open_zip(partial(zipfile.ZipFile, path)) as archive:
                for info in _find_members(archive, member.__eq__, limits):
                    with _open_zip(partial(archive.open, info)) as file:
                        yield file  # type: ignore[misc]
                    return
        elif path.suffix.lower() == ".xz":
            with lzma.open(path) as file:
                yield file  # type: ignore[misc]
            return
        else:
            is_packed = path.suffix.lower() in COMPRESSED
            with pa.input_stream(path, compression="detect" if is_packed else None) as file:
                yield file
            return
    raise _missing_error(member)


def stage_files(
    sources: Sequence[Source], base: Path, limits: UnpackLimits = UNPACK_LIMITS
) -> Iterator[Path]:
    """Yield the path of each file or, where DuckDB cannot read it, that of a copy.

    Compressed files, members of archives, and texts with a byte order mark are copied plain. Arrow
    files are copied as Parquet, YAML files as JSON lines. An archive is read once.

    Args:
        sources: The files.
        base: The path before the numbers of the copies.
        limits: How far all of the files may expand.

    Raises:
        OSError: The next file cannot be read, is damaged, or expands beyond the limits.
    """
    sizes = _Unpacked(limits)
    copies = [base.with_name(f"{base.name}-{number}") for number in range(len(sources))]
    in_archives: dict[Path, dict[str, Path]] = {}
    for source, copy in zip(sources, copies, strict=True):
        if source.member is not None:
            in_archives.setdefault(source.path, {})[source.member] = copy
    for source, copy in zip(sources, copies, strict=True):
        if source.member is None:
            yield copy if _copy_file(source, copy, sizes) else source.path
            continue
        if members := in_archives.pop(source.path, None):
            with _raise_damage_as_oserror():
                _copy_members(source.path, members, sizes)
        if not copy.exists():
            raise _missing_error(source.member)
        yield copy


def convert_if_needed(source: Source, copy: Path) -> bool:
    """Write a copy of a file that DuckDB can read, if it cannot read the original.

    Args:
        source: The file.
        copy: The path of the copy.

    Returns:
        Whether a copy was needed.

    Raises:
        OSError: The file cannot be read, is damaged, or expands beyond the limits.
    """
    [staged] = stage_files([source], copy)
    if staged == source.path:
        return False
    staged.rename(copy)
    return True


def _copy_file(source: Source, copy: Path, sizes: _Unpacked) -> bool:
    """Write a copy of a file if one is needed, and return whether it is."""
    is_packed = source.path.suffix.lower() in COMPRESSED
    sizes.start_file(source.path.stat().st_size)
    with open_source(source, sizes.limits) as file:
        return _convert_file(file, source, copy, is_packed, sizes)


def _copy_members(path: Path, copies: Mapping[str, Path], sizes: _Unpacked) -> None:
    """Write copies of files in an archive by name."""
    if is_tar(path):
        sizes.start_file(path.stat().st_size)
        for name, file in _read_tar(path, copies.__contains__, sizes.limits):
            _check_packed_once(name)
            _convert_file(file, Source(path, name), copies[name], True, sizes)
        return
    with _open_zip(partial(zipfile.ZipFile, path)) as archive:
        for member in _find_members(archive, copies.__contains__, sizes.limits):
            name = member.filename
            _check_packed_once(name)
            sizes.start_file(member.compress_size)
            with _open_zip(partial(archive.open, member)) as content:
                file = cast(BinaryIO, content)
                _convert_file(file, Source(path, name), copies[name], True, sizes)


def _check_packed_once(member: str) -> None:
    if PurePosixPath(member).suffix.lower() in COMPRESSED:
        raise OSError(f"{member} is compressed twice; unpack it")


def _missing_error(member: str | None) -> OSError:
    return OSError(f"it no longer contains {member!r}")


def _convert_file(
    file: BinaryIO, source: Source, copy: Path, is_packed: bool, sizes: _Unpacked
) -> bool:
    """Write a copy of an open file if one is needed, and return whether it is."""
    if source.suffix in ARROW | YAML:
        path = source.path
        if is_packed:
            # Arrow's format for random access has its index at the end: unpack the whole file.
            path = copy.with_name(f"{copy.name}-plain")
            with path.open("wb") as target:
                _unpack(file, target, sizes)
        if source.suffix in ARROW:
            _convert_arrow(path, copy, sizes)
        else:
            convert_yaml(path, copy)
        if is_packed:
            path.unlink()
        return True
    start = file.read(len(codecs.BOM_UTF8))
    if not is_packed and start != codecs.BOM_UTF8:
        return False
    with copy.open("wb") as target:
        target.write(start.removeprefix(codecs.BOM_UTF8))
        if is_packed:
            _unpack(file, target, sizes)
        else:
            shutil.copyfileobj(file, target, _CHUNK)
    return True


def _unpack(file: BinaryIO, target: BinaryIO, sizes: _Unpacked) -> None:
    """Copy to the end of the file, or raise if it expands beyond the limits."""
    while chunk := file.read(_CHUNK):
        sizes.add(len(chunk))
        target.write(chunk)


def _convert_arrow(path: Path, copy: Path, sizes: _Unpacked) -> None:
    sizes.start_file(path.stat().st_size)
    with pa.memory_map(str(path)) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        reader: Any = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
        with pq.ParquetWriter(copy, reader.schema, compression="lz4") as writer:
            for batch in batches:
                # Otherwise an offset beyond its buffer reads other memory.
                batch.validate(full=True)
                sizes.add(batch.nbytes)
                writer.write_batch(batch)


_SEVERITIES: Final = (
    b"DEBUG[1-5]?|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|QUERY|CONTEXT|LOCATION"
    b"|STATEMENT|BACKTRACE"
)
ENTRY_OF_PG_LOG: Final = re.compile(rb"\n(?=(?!\t)[^\n]{0,400}?\b(?:%s):  )" % _SEVERITIES)
"""The line break before an entry of PostgreSQL's log; later lines of an entry start with a tab."""

_PIECES: Final = pa.schema([("piece", pa.string()), ("place", pa.int64())])


def write_pieces(
    path: Path,
    copy: Path,
    separator: str | re.Pattern[bytes],
    *,
    chunk_bytes: int = 8 << 20,
    max_piece_bytes: int = 200_000_000,
) -> None:
    """Split a UTF-8 text, and write each ``piece`` with its ``place`` from 0 to a Parquet file.

    Pieces are the texts between separators; an empty last one is dropped. Windows line breaks
    become plain ones. Memory holds little more than one piece.

    Args:
        path: The text.
        copy: The Parquet file to write.
        separator: The text between two pieces; or a pattern that matches a line break, and looks
            no further ahead than the end of the next line.
        chunk_bytes: How much is read at a time.
        max_piece_bytes: The longest piece.

    Raises:
        UnicodeDecodeError: The text is not UTF-8.
        OSError: The file cannot be read, or a piece is too long.
    """
    n_pieces = 0
    rest = bytearray()
    with path.open("rb") as file, pq.ParquetWriter(copy, _PIECES, compression="lz4") as writer:
        while True:
            chunk = file.read(chunk_bytes)
            n_searched = len(rest)
            rest += chunk
            end = _find_last_end(rest, separator, n_searched) if chunk else len(rest)
            if chunk and not end:
                if len(rest) > max_piece_bytes:
                    raise OSError(f"it has a line of more than {max_piece_bytes // 10**6} MB")
                continue
            pieces = _split_text(bytes(rest[:end]), separator) if end else []
            del rest[:end]
            if pieces:
                places = pa.array(range(n_pieces, n_pieces + len(pieces)), pa.int64())
                writer.write_table(pa.table([pa.array(pieces, pa.string()), places], _PIECES))
                n_pieces += len(pieces)
            if not chunk:
                break


def _find_last_end(text: bytearray, separator: str | re.Pattern[bytes], n_searched: int) -> int:
    """Return where the last separator ends, or 0 if no separator follows the searched bytes."""
    if isinstance(separator, str):
        mark = separator.encode()
        # The separator may span two chunks.
        found = text.rfind(mark, max(0, n_searched - len(mark)))
        return found + len(mark) if found >= 0 else 0
    # The line after the last line break was incomplete.
    start = max(0, text.rfind(b"\n", 0, n_searched))
    return max((match.end() for match in separator.finditer(text, start)), default=0)


def _split_text(text: bytes, separator: str | re.Pattern[bytes]) -> list[str]:
    """Return the pieces of a text; an empty last one is dropped."""
    if isinstance(separator, str):
        return text.decode().replace("\r\n", "\n").removesuffix(separator).split(separator)
    pieces = separator.split(text.replace(b"\r\n", b"\n").removesuffix(b"\n"))
    return [piece.decode() for piece in pieces]


@contextmanager
def _raise_damage_as_oserror() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise OSError(str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def find_invalid_utf8(path: Path) -> int | None:
    """Return the position of the first byte that is not valid UTF-8, or None if all are."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder puts the bytes that it kept from the last chunk before this one.
                return position - (len(error.object) - len(chunk)) + error.start
            if not chunk:
                return None
            position += len(chunk)


_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The encodings of dumps besides UTF-8; with more candidates, short texts are misjudged.
_GUESSED: Final = ["cp1252", "cp1250", "cp1251", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"]
_FEW_BYTES: Final = 32
_CONTROLS: Final = bytes({*range(32)} - {*b"\t\n\r\f\v\x1b"})


def guess_encoding(path: Path) -> str | None:
    """Guess the encoding of a text; return None for valid UTF-8 and for binary data.

    UTF-8 with a few wrong bytes counts as UTF-8, to be read with U+FFFD in their places.
    """
    invalid_at = find_invalid_utf8(path)
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
        file.seek(max(0, (invalid_at or 0) - _SAMPLE // 2))
        sample = file.read(_SAMPLE)
    if (wide := find_wide_encoding(start)) is not None:
        return wide
    return None if invalid_at is None else _guess_narrow_encoding(sample)


def guess_start_encoding(start: bytes) -> str:
    """Guess the encoding of a text from its first bytes, which may end within a character."""
    if (wide := find_wide_encoding(start)) is not None:
        return wide
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return _guess_narrow_encoding(start) or "utf-8"
    return "utf-8"


def find_wide_encoding(start: bytes) -> str | None:
    """Return UTF-16 or UTF-32 if the first bytes of a text show that it is in one of them.

    Without a byte order mark, zero bytes show it, since all SQL has Latin letters; such a text is
    also valid UTF-8.
    """
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    quarter = max(1, len(start) // 4)
    zeros = [start[offset::4].count(0) for offset in range(4)]
    for offset, name in ((0, "utf-32-le"), (3, "utf-32-be")):
        # The two bytes of a character that are farthest from its lowest one are always zero.
        if min(zeros[2 - offset // 2], zeros[3 - offset]) >= quarter and zeros[offset] < quarter:
            return name
    for offset, name in ((0, "utf-16-le"), (1, "utf-16-be")):
        high, low = zeros[1 - offset] + zeros[3 - offset], zeros[offset] + zeros[2 + offset]
        is_mixed = 0 not in start[:16]  # UTF-8, to which a text in UTF-16 was added
        if high > len(start) // 8 and high > 8 * low and not is_mixed:
            return name
    return None


def find_wide_encoding_of_file(path: Path) -> str | None:
    """Return UTF-16 or UTF-32 if the first bytes of a file show that it is in one of them."""
    with path.open("rb") as file:
        return find_wide_encoding(file.read(_SAMPLE))


def _guess_narrow_encoding(sample: bytes) -> str | None:
    """Guess the encoding of a text that is not valid UTF-8; None if it is binary data."""
    if len(sample.translate(None, _CONTROLS)) < 0.99 * len(sample):
        return None
    wrong = sample.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}")
    beyond_ascii = len(sample) - len(sample.decode("ascii", "ignore"))
    # At two bytes or more a character, several characters are valid for each wrong one.
    if beyond_ascii > 4 * wrong:
        return "utf-8"
    if beyond_ascii >= _FEW_BYTES:
        from charset_normalizer import from_bytes

        with suppress(LookupError, UnicodeError):
            best = from_bytes(sample, cp_isolation=_GUESSED).best()
            if best is not None:
                return best.encoding
    return "cp1252"


def convert_to_utf8(path: Path, copy: Path, name: str) -> Encoding:
    """Copy a text as UTF-8, and return its encoding and how many characters were replaced.

    Args:
        path: The text.
        copy: The file to write.
        name: The text's encoding. Bytes that are not valid in it become U+FFFD.
    """
    decoder = codecs.getincrementaldecoder(name)("replace")
    n_replaced = 0
    with path.open("rb") as file, copy.open("wb") as target:
        while True:
            chunk = file.read(_CHUNK)
            text = decoder.decode(chunk, final=not chunk)
            n_replaced += text.count("\N{REPLACEMENT CHARACTER}")
            target.write(text.removeprefix("\N{BYTE ORDER MARK}").encode("utf-8", "replace"))
            if not chunk:
                return Encoding(name, n_replaced)
