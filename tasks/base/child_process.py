"""Calls of functions in processes of their own, which may die on the files that they read.

``python -m nl2sql_align.tasks.base.child_process`` reads the names of folders from its standard
input, a line each. It runs the call in each folder, writes the answer there, and a line to its
standard output. It ends when its standard input does, as after the end of its caller.
"""

import atexit
import json
import os
import pickle
import queue
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from nl2sql_align.tasks.base.connections import Resources, bounded, resources, running
from nl2sql_align.tasks.base.environment import hide_pandas, list_module_folders
from nl2sql_align.tasks.base.errors import AlignError

SECONDS_TO_NEXT_CALL: Final = 2.0
"""How long a process waits for the next call. It takes half a second to start one."""

P = ParamSpec("P")
R = TypeVar("R")


class ChildDiedError(Exception):
    """The process of a call died of a signal; the text is the signal's name."""


def call_in_child(function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    """Call a function in a process of its own, within the limits of this one.

    The process is not a sandbox: it may do all that its caller may. Its temporary files are removed
    even if it dies. One call is at work at a time. The next one gets the same process, which has
    loaded its modules, unless this one fails or the next one comes too late.

    Args:
        function: A function of a module. It is pickled, as are its arguments and its result.
        arguments: Its arguments.
        keywords: Its arguments by name.

    Returns:
        The result. An exception of the function is raised here.

    Raises:
        ChildDiedError: The process died.
        AlignError: The process cannot be started, or ends without an answer.
    """
    try:
        return _QUEUE.call(resources(), partial(function, *arguments, **keywords))
    except _NotRunError as error:
        raise AlignError(
            f"dumps cannot be read: the process that reads them does not run ({error}); "
            f"{_describe_remedy()}"
        ) from None


def call_in_share(function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    """Call a function in a process with one thread, and with its share of the memory limit.

    Python runs one thread of a process at a time. As many of these processes are at work at a time
    as the run may use threads. If that is one, call the function in this process.

    Args:
        function: As for ``call_in_child``.
        arguments: As for ``call_in_child``.
        keywords: As for ``call_in_child``.

    Returns:
        The result. An exception of the function is raised here.

    Raises:
        AlignError: The process cannot be started, dies, or ends without an answer.
    """
    limits = resources()
    with running():
        if limits.threads == 1:
            return function(*arguments, **keywords)
        share = replace(limits, threads=1, memory_bytes=limits.memory_bytes // limits.threads)
        return _call_once(share, partial(function, *arguments, **keywords))


def call_apart(function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    """Call a function in a process of its own, for its memory, within the limits of this one.

    Args:
        function: As for ``call_in_child``.
        arguments: Likewise.
        keywords: Likewise.

    Returns:
        The result. An exception of the function is raised here.

    Raises:
        AlignError: The process cannot be started, dies, or ends without an answer.
    """
    return _call_once(resources(), partial(function, *arguments, **keywords))


def _call_once(limits: Resources, call: "partial[R]") -> R:
    try:
        process = _Process(limits)
        try:
            return process.call(limits, call)
        finally:
            process.end()
    except (ChildDiedError, _NotRunError) as error:
        raise AlignError(f"a process of the run ended ({error}); {_describe_remedy()}") from None


class _NotRunError(Exception):
    """A process does not run; the text is the reason."""


class _Process:
    """A process that runs one call after another.

    Attributes:
        is_usable: Whether it can run a call. A damaged file that makes a call fail may also have
            damaged the memory.
    """

    def __init__(self, limits: Resources) -> None:
        """Start a process.

        Args:
            limits: The limits of its calls.
        """
        self.is_usable = True
        self._made_for = _describe_surroundings(limits)
        try:
            with ExitStack() as stack:
                self._errors = stack.enter_context(
                    tempfile.TemporaryFile(dir=limits.temp_directory)
                )
                self._process = subprocess.Popen(
                    # -P: modules in the user's folder must not hide ours.
                    [sys.executable, "-P", "-m", "nl2sql_align.tasks.base.child_process"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    env={**os.environ, "PYTHONPATH": list_module_folders()},
                )
                stack.enter_context(self._process)
                self._open = stack.pop_all()
        except OSError as problem:
            raise _NotRunError(problem.strerror or str(problem)) from None

    def fits(self, limits: Resources) -> bool:
        """Return whether a call would run as in a new process."""
        return self.is_usable and self._made_for == _describe_surroundings(limits)

    def call(self, limits: Resources, call: "partial[R]") -> R:
        """Run a call within some limits, and return its result or raise its error."""
        self.is_usable = False
        try:
            with tempfile.TemporaryDirectory(dir=limits.temp_directory) as folder:
                place = Path(folder)
                (place / "call").write_bytes(pickle.dumps((limits, call)))
                try:
                    self._run(place)
                except BaseException:  # it must not write to a folder that is being removed
                    self._process.kill()
                    raise
                result: R
                result, error = pickle.loads((place / "answer").read_bytes())
        except OSError as problem:
            raise _NotRunError(problem.strerror or str(problem)) from None
        if error is not None:
            raise error
        self.is_usable = True
        return result

    def _run(self, folder: Path) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(str(folder)).encode() + b"\n")
            self._process.stdin.flush()
        if self._process.stdout.readline():
            return
        status = self._process.wait()
        if status < 0:
            raise ChildDiedError(signal.Signals(-status).name)
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it says nothing")
        raise _NotRunError(last)

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        with suppress(BrokenPipeError):
            self._open.close()


def _describe_surroundings(limits: Resources) -> tuple[object, ...]:
    """Return the limits, working folder, and environment that a process keeps from its start."""
    folder = Path().stat()
    return limits.threads, limits.memory_bytes, folder.st_dev, folder.st_ino, dict(os.environ)


class _Queue:
    """Runs one call at a time, so that all of them need no more memory than one."""

    def __init__(self) -> None:
        self._at_work = threading.Lock()
        self._process: _Process | None = None
        self._end_later: threading.Timer | None = None

    def call(self, limits: Resources, call: "partial[R]") -> R:
        """Run a call once no other one is at work."""
        with self._at_work:
            if self._end_later is not None:
                self._end_later.cancel()
            try:
                if self._process is not None and not self._process.fits(limits):
                    self._end_process()
                self._process = self._process or _Process(limits)
                return self._process.call(limits, call)
            finally:
                if self._process is not None and self._process.is_usable:
                    self._end_later = threading.Timer(SECONDS_TO_NEXT_CALL, self.end)
                    self._end_later.daemon = True
                    self._end_later.start()
                else:
                    self._end_process()

    def end(self) -> None:
        """End the process that waits for the next call, unless a call is at work."""
        if self._at_work.acquire(blocking=False):
            try:
                self._end_process()
            finally:
                self._at_work.release()

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()


_QUEUE: Final = _Queue()
atexit.register(_QUEUE.end)


def _describe_remedy() -> str:
    return (
        f"check free memory and the disk space of {tempfile.gettempdir()}, or install the program "
        "again"
    )


def main() -> None:
    """Run the calls in the folders that standard input names."""
    # A crash on a dump would leave its content in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.dup(1)
    os.dup2(2, 1)  # for what libraries print
    folders: queue.SimpleQueue[Path] = queue.SimpleQueue()
    threading.Thread(target=_read_folders, args=(folders,), daemon=True).start()
    hide_pandas()
    while True:
        _answer(folders.get())
        os.write(answers, b"\n")


def _answer(folder: Path) -> None:
    """Run the call in a folder, and write its answer there."""
    # Libraries look at either.
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    limits, call = pickle.loads((folder / "call").read_bytes())
    result = error = None
    try:
        with bounded(limits.threads, f"{limits.memory_bytes}B", folder):
            result = call()
    except Exception as problem:
        error = problem
    (folder / "answer").write_bytes(pickle.dumps((result, error)))


def _read_folders(folders: "queue.SimpleQueue[Path]") -> None:
    """Pass folders on until standard input ends, then end this process."""
    # Unbuffered: a buffer that a thread is reading from cannot be closed.
    with open(0, "rb", buffering=0, closefd=False) as lines:
        for line in lines:
            folders.put(Path(json.loads(line)))
    # A damaged file may have corrupted memory, and libraries that clean up could then crash.
    os._exit(1)


if __name__ == "__main__":
    main()
