"""Calls in processes of their own, and their deaths."""

import os
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from nl2sql_align.tasks.base.child_process import ChildDiedError, call_in_child, call_in_share
from nl2sql_align.tasks.base.connections import Resources, bounded, resources
from nl2sql_align.tasks.base.errors import AlignError, CorpusError


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


def return_limits_or_die(dies: bool) -> Resources:
    if dies:
        make_file_and_die()
    return resources()


def test_a_call_with_a_share_has_one_thread(tmp_path):
    with bounded(2, "2GB", tmp_path):
        found = call_in_share(return_limits_or_die, False)
        assert (found.threads, found.memory_bytes) == (1, 1_000_000_000)
        with pytest.raises(AlignError, match=r"a process of the run ended \(SIGSEGV\); check free"):
            call_in_share(return_limits_or_die, True)
        assert not list(tmp_path.iterdir())
    with bounded(1, "2GB", tmp_path):
        assert call_in_share(os.getpid) == os.getpid()


def start_a_call_and_die(folder: Path) -> None:
    threading.Thread(target=call_in_child, args=(time.sleep, 600)).start()
    while not list(folder.glob("*/*/errors")):
        time.sleep(0.01)
    signal.raise_signal(signal.SIGKILL)


def test_a_child_ends_with_its_caller(tmp_path):
    with bounded(1, None, tmp_path), pytest.raises(ChildDiedError, match=r"^SIGKILL$"):
        call_in_child(start_a_call_and_die, tmp_path)
    folder = str(tmp_path).encode()
    deadline = time.monotonic() + 60
    while any(folder in _read(path) for path in Path("/proc").glob("[1-9]*/cmdline")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # that process has ended
        return b""
