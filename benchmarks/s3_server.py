"""A local S3 server (moto) for benchmarks, in its own process, which is not measured."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUCKET = "benchmark"


class Traffic:
    """The objects that clients of the server have fetched and uploaded, from its log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._n_read = 0

    def since_last(self) -> str:
        """Return the bytes and the number of objects in each direction since the last call."""
        import s3fs

        store = s3fs.S3FileSystem(skip_instance_cache=True)
        text = self._log.read_text(errors="replace")
        new, self._n_read = text[self._n_read :], len(text)
        shown = []
        for method in ("GET", "PUT"):
            objects = re.findall(rf'"{method} /({BUCKET}/[^? ]+) HTTP/[0-9.]+" 200', new)
            n_bytes = sum(store.info(one)["size"] for one in objects if store.exists(one))
            shown.append(f"{n_bytes / 1e6:.2f} MB in {len(objects)}")
        return " | ".join(shown)


@contextmanager
def s3_server(log: Path) -> Iterator[Traffic]:
    """Start an S3 server with an empty bucket, and set the environment for its clients."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(BUCKET)
        yield Traffic(log)
    finally:
        server.kill()
        server.wait()
