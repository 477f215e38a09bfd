"""Calls in processes of their own, and their deaths."""

import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from nl2sql_align.tasks.base.child_process import ChildDiedError, call_in_child, stop_children
from nl2sql_align.tasks.base.connections import bounded, resources
from nl2sql_align.tasks.base.errors import CorpusError


def make_file_and_die() -> None:
    tempfile.mkdtemp()
    signal.raise_signal(signal.SIGSEGV)


def fail() -> None:
    raise CorpusError("c", "a.arrow", "is damaged", "download it again")


def test_a_call_returns_its_result_and_leaves_no_file(tmp_path):
    with bounded(3, "2GB", tmp_path):
        found = call_in_child(resources)
        assert (found.threads, found.memory_bytes) == (3, 2_000_000_000)
        assert found.temp_directory.parent == tmp_path
        with pytest.raises(CorpusError, match=r"a\.arrow.*: is damaged; download it again"):
            call_in_child(fail)
        with pytest.raises(ChildDiedError, match=r"^SIGSEGV$"):
            call_in_child(make_file_and_die)
        assert not list(tmp_path.iterdir())


def test_a_call_can_be_ended_and_ends_the_calls_of_its_process(tmp_path):
    deaths: list[str] = []

    def wait() -> None:
        try:
            call_in_child(call_in_child, time.sleep, 600)
        except ChildDiedError as death:
            deaths.append(str(death))

    with bounded(1, None, tmp_path):
        waiting = threading.Thread(target=wait)
        waiting.start()
        while not (inner := list(tmp_path.glob("*/*/errors"))):
            time.sleep(0.01)
        stop_children()
        waiting.join(60)
    assert deaths == ["SIGKILL"]
    folder = str(inner[0].parent).encode()
    deadline = time.monotonic() + 60
    while any(folder in _read(path) for path in Path("/proc").glob("[1-9]*/cmdline")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # that process has ended
        return b""
