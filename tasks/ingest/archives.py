"""The files of a dump as DuckDB reads them: unpacked, in UTF-8, Arrow and long texts as Parquet."""

import codecs
import lzma
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

COMPRESSED: Final = frozenset({".bz2", ".gz", ".xz", ".zst"})
ARROW: Final = frozenset({".arrow", ".feather"})

# Text of dumps packs to a tenth, seldom to a hundredth; a bomb to a thousandth and less.
MAX_RATIO: Final = 500
_RATIO_COUNTS_FROM: Final = 100_000_000
MAX_UNPACKED_BYTES: Final = 200_000_000_000
MAX_PIECE_BYTES: Final = 200_000_000
_CHUNK: Final = 1 << 20
_SAMPLE: Final = 1 << 20
# What a damaged archive raises, by its kind.
_DAMAGE: Final = (
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
    pa.ArrowInvalid,
    EOFError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Source:
    """One file of a dump.

    Attributes:
        path: The file, or the zip archive that it is in.
        member: Its name there.
    """

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The file's own name, without the suffix of its compression."""
        name = PurePosixPath(self.member).name if self.member else self.path.name
        stem, dot, suffix = name.rpartition(".")
        return stem if f"{dot}{suffix}".lower() in COMPRESSED and stem else name

    @property
    def suffix(self) -> str:
        """What tells its kind, in lower case: ``.jsonl`` of ``a.jsonl.gz``."""
        return PurePosixPath(self.name).suffix.lower()


@dataclass(frozen=True)
class Encoding:
    """How a text was encoded, and how many of its characters could not be told."""

    name: str = "utf-8"
    n_replaced: int = 0


UTF_8: Final = Encoding()


def list_members(path: Path, pattern: str | None) -> list[str]:
    """The files in a zip archive that match a pattern, by name; all of them without one.

    Raises:
        OSError: It is damaged, is encrypted, or names a file outside of itself.
    """
    with _told_as_oserror(), zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        for info in members:
            parts = PurePosixPath(info.filename.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts:
                raise OSError(f"it names a file outside of itself: {info.filename!r}")
            if info.flag_bits & 1:
                raise OSError("it is encrypted")
    hidden = re.compile(r"(^|/)(\.|__MACOSX/)")
    names = sorted(info.filename for info in members if not hidden.search(info.filename))
    if pattern is None:
        return names
    # Below any of its folders: archives often hold one folder that holds the files.
    return [name for name in names if PurePosixPath(f"/{name}").match(pattern)]


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked on the way.

    Raises:
        OSError: It cannot be read, or its packing is damaged.
    """
    with _told_as_oserror():
        if source.member is not None:
            with zipfile.ZipFile(source.path) as archive, archive.open(source.member) as file:
                if PurePosixPath(source.member).suffix.lower() in COMPRESSED:
                    raise OSError(f"{source.member} is packed twice; unpack it")
                yield file  # type: ignore[misc]
        elif source.path.suffix.lower() == ".xz":
            with lzma.open(source.path) as file:
                yield file  # type: ignore[misc]
        else:
            is_packed = source.path.suffix.lower() in COMPRESSED
            with pa.input_stream(source.path, compression="detect" if is_packed else None) as file:
                yield file


def copied_plain(source: Source, copy: Path) -> bool:
    """Copies a file that DuckDB cannot read as it stands; tells whether it is one.

    Such are packed files, members of archives, texts with a byte order mark, and Arrow files, which
    become Parquet.

    Raises:
        OSError: It cannot be read, is damaged, or unpacks to more than a dump can be.
    """
    is_packed = source.member is not None or source.path.suffix.lower() in COMPRESSED
    with opened(source) as file:
        if source.suffix in ARROW:
            # Files for random access have their index at the end.
            if is_packed:
                with copy.open("wb") as target:
                    _copy(file, target, _packed_size(source))
                plain = copy.with_name(f"{copy.name}-arrow")
                copy.rename(plain)
                try:
                    _arrow_to_parquet(plain, copy)
                finally:
                    plain.unlink()
            else:
                _arrow_to_parquet(source.path, copy)
            return True
        start = file.read(len(codecs.BOM_UTF8))
        if not is_packed and start != codecs.BOM_UTF8:
            return False
        with copy.open("wb") as target:
            target.write(start.removeprefix(codecs.BOM_UTF8))
            _copy(file, target, _packed_size(source) if is_packed else None)
    return True


def _packed_size(source: Source) -> int:
    if source.member is None:
        return source.path.stat().st_size
    with zipfile.ZipFile(source.path) as archive:
        return archive.getinfo(source.member).compress_size


def _copy(file: BinaryIO, target: BinaryIO, packed: int | None) -> None:
    """Copies to the end, unless that is farther than ``packed`` bytes can honestly unpack to."""
    if packed is None:
        shutil.copyfileobj(file, target, _CHUNK)
        return
    limit = min(MAX_UNPACKED_BYTES, max(_RATIO_COUNTS_FROM, MAX_RATIO * packed))
    written = 0
    while chunk := file.read(_CHUNK):
        written += len(chunk)
        if written > limit:
            raise OSError(
                f"it unpacks to more than {limit / 1e9:.1f} GB from {packed:,} bytes; "
                "unpack it yourself if that is right"
            )
        target.write(chunk)


def _arrow_to_parquet(path: Path, copy: Path) -> None:
    with pa.memory_map(str(path)) as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        reader: Any = pa.ipc.open_file(file) if is_file else pa.ipc.open_stream(file)
        batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
        with pq.ParquetWriter(copy, reader.schema, compression="lz4") as writer:
            for batch in batches:
                writer.write_batch(batch)


_PIECES: Final = pa.schema([("piece", pa.string()), ("place", pa.int64())])
_PIECES_BYTES: Final = 8 << 20


def to_pieces(path: Path, copy: Path, separator: str) -> None:
    """Copies a UTF-8 text as Parquet with a row for each ``piece`` and its ``place`` from 0.

    Pieces are what stands between separators; an empty one at the end is none. Windows' line breaks
    become plain ones. Little more than one piece is in memory at a time.

    Raises:
        UnicodeDecodeError: It is not UTF-8.
        OSError: It cannot be read, or a piece is longer than ``MAX_PIECE_BYTES``.
    """
    mark = separator.encode()
    n_pieces = 0
    rest = bytearray()
    with path.open("rb") as file, pq.ParquetWriter(copy, _PIECES, compression="lz4") as writer:
        while True:
            chunk = file.read(_PIECES_BYTES)
            # A separator may have started in the chunk before.
            searched = max(0, len(rest) - len(mark))
            rest += chunk
            end = rest.rfind(mark, searched) + len(mark)
            if not chunk:
                end = len(rest)
            elif end < len(mark):
                if len(rest) > MAX_PIECE_BYTES:
                    raise OSError(f"it has a line of more than {MAX_PIECE_BYTES // 10**6} MB")
                continue
            text = rest[:end].decode().replace("\r\n", "\n")
            del rest[:end]
            if text:
                pieces = text.removesuffix(separator).split(separator)
                places = pa.array(range(n_pieces, n_pieces + len(pieces)), pa.int64())
                writer.write_table(pa.table([pa.array(pieces, pa.string()), places], _PIECES))
                n_pieces += len(pieces)
            if not chunk:
                break


@contextmanager
def _told_as_oserror() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise OSError(str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def find_invalid_utf8(path: Path) -> int | None:
    """Where a file stops being UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # What the decoder kept of the chunk before is the start of what it looked at.
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
# What dumps of text-to-SQL data come in besides UTF-8; guessed among more, short texts mislead.
_GUESSED: Final = ["cp1252", "cp1250", "cp1251", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"]
_FEW_BYTES: Final = 32
_CONTROLS: Final = bytes({*range(32)} - {*b"\t\n\r\f\v\x1b"})


def guess_encoding(path: Path) -> str | None:
    """How a text that is not UTF-8 is encoded; None where it is UTF-8, or no text.

    UTF-8 with a few wrong bytes is UTF-8 all the same, to be read with U+FFFD in their place.
    """
    invalid_at = find_invalid_utf8(path)
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
        file.seek(max(0, (invalid_at or 0) - _SAMPLE // 2))
        sample = file.read(_SAMPLE)
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    for offset, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Latin letters, which all SQL has, are pairs of a zero and another byte.
        zeros, others = start[offset::2].count(0), start[1 - offset :: 2].count(0)
        if zeros > len(start) // 8 and zeros > 8 * others:
            return name
    if invalid_at is None:
        return None
    if len(sample.translate(None, _CONTROLS)) < 0.99 * len(sample):
        return None
    wrong = sample.decode("utf-8", "replace").count("\N{REPLACEMENT CHARACTER}")
    beyond_ascii = len(sample) - len(sample.decode("ascii", "ignore"))
    # Each right character takes two bytes or more: there are several right ones for a wrong one.
    if beyond_ascii > 4 * wrong:
        return "utf-8"
    if beyond_ascii >= _FEW_BYTES:
        from charset_normalizer import from_bytes

        with suppress(LookupError, UnicodeError):
            best = from_bytes(sample, cp_isolation=_GUESSED).best()
            if best is not None:
                return best.encoding
    return "cp1252"


def to_utf8(path: Path, copy: Path, name: str) -> Encoding:
    """Copies a text in an encoding as UTF-8; tells how many characters are none in it."""
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
