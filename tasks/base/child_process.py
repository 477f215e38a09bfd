"""Calls of functions in processes of their own, which may die on the files that they read.

``python -m nl2sql_align.tasks.base.child_process FOLDER`` runs the call in a folder, and writes its
answer there. It ends when its standard input does, as after the end of its caller.
"""

import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from nl2sql_align.tasks.base.connections import Resources, bounded, resources, running
from nl2sql_align.tasks.base.environment import hide_pandas, list_module_folders
from nl2sql_align.tasks.base.errors import AlignError

P = ParamSpec("P")
R = TypeVar("R")

# One call is at work at a time, so that all of them need no more memory than one.
_AT_WORK: Final = threading.Lock()


class ChildDiedError(Exception):
    """The process of a call died of a signal; the text is the signal's name."""


def call_in_child(function: Callable[P, R], *arguments: P.args, **keywords: P.kwargs) -> R:
    """Call a function in a process of its own, within the limits of this one.

    The process is not a sandbox: it may do all that its caller may. Its temporary files are removed
    even if it dies.

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
        return _call(resources(), _AT_WORK, partial(function, *arguments, **keywords))
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
        arguments: Likewise.
        keywords: Likewise.

    Returns:
        The result. An exception of the function is raised here.

    Raises:
        AlignError: The process cannot be started, dies, or ends without an answer.
    """
    limits = resources()
    share = replace(limits, threads=1, memory_bytes=limits.memory_bytes // limits.threads)
    try:
        with running():
            if limits.threads == 1:
                return function(*arguments, **keywords)
            return _call(share, nullcontext(), partial(function, *arguments, **keywords))
    except (ChildDiedError, _NotRunError) as error:
        raise AlignError(f"a process of the run ended ({error}); {_describe_remedy()}") from None


class _NotRunError(Exception):
    """A process does not run; the text is the reason."""


def _call(limits: Resources, gate: AbstractContextManager[object], call: "partial[R]") -> R:
    """Call a function in a process of its own, with some limits, once the gate is open."""
    try:
        with tempfile.TemporaryDirectory(dir=limits.temp_directory) as folder:
            place = Path(folder)
            (place / "call").write_bytes(pickle.dumps((limits, call)))
            status = _run_child(place, gate)
            if status < 0:
                raise ChildDiedError(signal.Signals(-status).name)
            if status:
                lines = (place / "errors").read_text("utf-8", "replace").split("\n")
                last = next((line for line in reversed(lines) if line.strip()), "it says nothing")
                raise _NotRunError(last)
            result: R
            result, error = pickle.loads((place / "answer").read_bytes())
    except OSError as problem:
        raise _NotRunError(problem.strerror or str(problem)) from None
    if error is not None:
        raise error
    return result


def _run_child(folder: Path, gate: AbstractContextManager[object]) -> int:
    """Run the call in a folder, and return the status with which its process ends."""
    paths = list_module_folders()
    with (
        (folder / "errors").open("wb") as errors,
        subprocess.Popen(
            # -P: modules in the user's folder must not hide ours.
            [sys.executable, "-P", "-m", "nl2sql_align.tasks.base.child_process", str(folder)],
            stdin=subprocess.PIPE,
            stdout=errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(folder)},
        ) as child,
    ):
        assert child.stdin is not None
        try:
            # It loads its modules while others are at work.
            with gate, suppress(BrokenPipeError):
                child.stdin.write(b"\n")
                child.stdin.flush()
                child.wait()
        finally:
            child.kill()
    return child.returncode


def _describe_remedy() -> str:
    return (
        f"check free memory and the disk space of {tempfile.gettempdir()}, or install the program "
        "again"
    )


def main() -> None:
    """Run the call in the folder that the command line names."""
    folder = Path(sys.argv[1])
    # A crash on a dump would leave its content in a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limits, call = pickle.loads((folder / "call").read_bytes())
    if not sys.stdin.buffer.read(1):
        return
    threading.Thread(target=_end_with_input, daemon=True).start()
    hide_pandas()
    result = error = None
    try:
        with bounded(limits.threads, f"{limits.memory_bytes}B", folder):
            result = call()
    except Exception as problem:
        error = problem
    (folder / "answer").write_bytes(pickle.dumps((result, error)))
    # A damaged file may have corrupted memory, and libraries that clean up could then crash.
    sys.stdout.flush()
    os._exit(0)


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
