"""Calls in processes of their own, and their deaths."""

import os
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
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


def return_pid_later() -> int:
    time.sleep(0.1)
    return os.getpid()


def fail_later() -> None:
    time.sleep(0.1)
    raise CorpusError("c", "a.arrow", f"is damaged ({os.getpid()})", "download it again")


def test_calls_share_a_process_until_one_fails_or_the_next_one_comes_too_late(tmp_path):
    with bounded(3, None, tmp_path), ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(call_in_child, return_pid_later) for _ in range(3)]
        [pid] = {call.result() for call in calls}
        assert call_in_child(os.getpid) == pid
        failing = pool.submit(call_in_child, fail_later)
        while not list(tmp_path.iterdir()):  # until it is at work
            time.sleep(0.01)
        waiting = pool.submit(call_in_child, return_pid_later)
        with pytest.raises(CorpusError, match=rf"\({pid}\)"):
            failing.result()
        assert waiting.result() != pid
        assert not list(tmp_path.iterdir())
    with bounded(2, None, tmp_path):
        last = call_in_child(os.getpid)  # other limits need another process
        assert last != waiting.result()
    _wait_for_end(last)


def write_pid_and_sleep(file: Path) -> None:
    file.write_text(str(os.getpid()))
    time.sleep(600)


def start_a_call_and_die(file: Path) -> None:
    threading.Thread(target=call_in_child, args=(write_pid_and_sleep, file)).start()
    while not file.exists() or not file.read_text():
        time.sleep(0.01)
    signal.raise_signal(signal.SIGKILL)


def test_a_child_ends_with_its_caller(tmp_path):
    file = tmp_path / "pid"
    with bounded(1, None, tmp_path), pytest.raises(ChildDiedError, match=r"^SIGKILL$"):
        call_in_child(start_a_call_and_die, file)
    _wait_for_end(int(file.read_text()))


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 60
    # A process without a parent may stay as a zombie.
    while (status := _read(Path(f"/proc/{pid}/stat"))) and b") Z " not in status:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # that process has ended
        return b""
