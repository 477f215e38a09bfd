"""Well-formed Arrow, Parquet, zip and tar files with small dumps, and mutations of their bytes."""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

_N_ROWS = 30
_EXTREMES = (0, 1, 2**15, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_TAR_FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tar.bz2": bz2.compress,
    ".tar.xz": lzma.compress,
    ".tar.zst": lambda data: pa.Codec("zstd").compress(data).to_pybytes(),
}
# The Unix modes of a link, a pipe, a device and a file.
_MODES = (0o120777, 0o010644, 0o020644, 0o100644)


def make_rows(rng: random.Random) -> list[dict[str, object]]:
    """Make rows of a data set."""
    return [
        {
            "query": f"SELECT name FROM boats WHERE length > {rng.randrange(90)}",
            "db_id": rng.choice(("harbor", "staff")),
            "question": f"Which boats? {number}",
        }
        for number in range(_N_ROWS)
    ]


def make_table(rng: random.Random) -> pa.Table:
    """Make a table with texts of several types, and columns of other types beside them."""
    table = pa.Table.from_pylist(make_rows(rng))
    texts = rng.choice(
        (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))
    )
    table = table.set_column(0, "query", table["query"].cast(texts))
    more: dict[str, list[object]] = {
        "tables": [["boats", "staff"][: number % 3] for number in range(_N_ROWS)],
        "place": [{"x": number, "names": [None, "a"]} for number in range(_N_ROWS)],
        "n": [number if number % 4 else None for number in range(_N_ROWS)],
    }
    for name in rng.sample(sorted(more), rng.randrange(len(more) + 1)):
        table = table.append_column(name, pa.array(more[name]))
    return table


def make_arrow(rng: random.Random) -> bytes:
    """Make an Arrow file or stream of one or more batches."""
    table = make_table(rng)
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=rng.choice((None, None, "lz4", "zstd")))
    write = rng.choice((pa.ipc.new_file, pa.ipc.new_stream))
    with write(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rng.choice((7, _N_ROWS)))
    return sink.getvalue()


def make_parquet(rng: random.Random) -> bytes:
    """Make a Parquet file of one or more row groups."""
    sink = io.BytesIO()
    table = make_table(rng)
    at = table.schema.get_field_index("query")
    table = table.set_column(at, "query", table["query"].cast(pa.string()))
    compression = rng.choice(("none", "snappy", "gzip", "zstd", "lz4", "brotli"))
    pq.write_table(
        table,
        sink,
        compression=compression,
        use_dictionary=rng.random() < 0.5,
        row_group_size=rng.choice((7, _N_ROWS)),
        data_page_version=rng.choice(("1.0", "2.0")),
    )
    return sink.getvalue()


def make_archive(rng: random.Random) -> tuple[str, bytes]:
    """Make the name and the content of an archive, some with members that have to be refused."""
    name, content = rng.choice(
        (
            ("a.json", json.dumps(make_rows(rng)).encode()),
            ("a.parquet", make_parquet(rng)),
            ("a.arrow", make_arrow(rng)),
            ("a.yaml", json.dumps(make_rows(rng)).encode()),
        )
    )
    members = {f"data/{name}": content, "data/.hidden": b"Boats."}
    if rng.random() < 0.1:
        members["data/README.md"] = b"Boats."
    if rng.random() < 0.5:
        return "a.zip", _make_zip(members, rng)
    suffix = rng.choice(sorted(_PACKERS))
    return f"a{suffix}", _PACKERS[suffix](_make_tar(members, rng))


def _make_zip(members: Mapping[str, bytes], rng: random.Random) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", rng.choice(_ZIP_METHODS)) as archive:
        warnings.simplefilter("ignore")  # of names that occur twice
        for name, content in members.items():
            for _ in range(rng.choice((1, 1, 1, 2))):
                info = zipfile.ZipInfo(name)
                info.compress_type = archive.compression
                if rng.random() < 0.2:
                    info.external_attr = rng.choice(_MODES) << 16
                with archive.open(info, "w", force_zip64=rng.random() < 0.3) as file:
                    file.write(content)
    return sink.getvalue()


def _make_tar(members: Mapping[str, bytes], rng: random.Random) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=rng.choice(_TAR_FORMATS)) as archive:
        for name, content in members.items():
            long = "d" * 120 + "/" if rng.random() < 0.2 else ""
            info = tarfile.TarInfo(f"{long}{name}" if archive.format else name)
            info.size = len(content)
            if rng.random() < 0.1:
                info.type = rng.choice((tarfile.SYMTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE))
                info.linkname = "../x"
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Change some bytes and numbers, or cut, repeat or move a part."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(8)
        if kind < 3 and data:
            data[rng.randrange(len(data))] = rng.choice(
                (0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))
            )
        elif kind < 6 and len(data) > 8:
            # Offsets and sizes are whole numbers of 4 or 8 bytes, often at multiples of 4.
            size, code = rng.choice(((4, "<I"), (8, "<Q"), (2, "<H")))
            place = rng.randrange(len(data) - 8) // 4 * 4
            number = rng.choice((*_EXTREMES, rng.randrange(5000), len(data)))
            data[place : place + size] = struct.pack(code, number % (1 << 8 * size))
        elif kind == 6:
            del data[at : min(end, at + rng.choice((1, 8, 64, len(data))))]
        else:
            data[at:at] = data[at : min(end, at + 400)]
    return bytes(data[:1_000_000])
