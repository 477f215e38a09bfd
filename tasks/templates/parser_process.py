"""The processes that parse: one may crash or hang on a query, and is then replaced.

Run as ``python -m nl2sql_align.tasks.templates.parser_process``, with a socket as standard
input, this is the process that forks them: it has the parser loaded and never parses, so that no
query ends it. A message is a number, least byte first. With files, it asks for a process of that
number; with none, it has that process ended, and is answered with its exit code. It ends when the
socket does.

A forked process reads jobs as JSON lines from standard input and answers each with a JSON line;
ends when standard input does. Before each query it writes that query's row into the shared progress
file, so that whoever asked for it knows which query it died of.

Imports nothing but the parser, so that it starts soon and stays small.
"""

import hashlib
import json
import mmap
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, BinaryIO

from nl2sql_align.tasks.base.garbage import freeze_for_forking
from nl2sql_align.tasks.templates.parse_sharing import parses_are_shared
from nl2sql_align.tasks.templates.parser_protocol import MESSAGE_BYTES, NO_ROW, PROGRESS_BYTES
from nl2sql_align.tasks.templates.rules import Limits
from nl2sql_align.tasks.templates.templatizer import Templatizer


def parse_queries(
    job: dict[str, Any], templatizer: Templatizer, progress: mmap.mmap
) -> dict[str, Any]:
    """Templatizes some queries.

    Args:
        job: ``queries`` (their texts), ``skip`` (reject reasons by row, for queries that ended
            earlier workers), ``seconds_per_query``.
        templatizer: For the queries' dialect and limits.
        progress: Where the row at work is written.

    Returns:
        ``templates``, ``reject_reasons`` and ``comparable_keys`` (hexadecimal), for each query a
        value or None; and the ``resident_bytes`` of this process.
    """
    skip = {int(row): reason for row, reason in job["skip"].items()}
    # Whoever started this process ends it sooner; where that one is gone, the system does.
    seconds = 3 * job["seconds_per_query"]
    templates: list[str | None] = []
    reasons: list[str | None] = []
    keys: list[str | None] = []
    for row, sql in enumerate(job["queries"]):
        progress[:] = row.to_bytes(PROGRESS_BYTES, "little")
        signal.setitimer(signal.ITIMER_REAL, seconds)
        template, reason, text = None, skip.get(row), None
        if reason is None:
            try:
                template, reason, text = templatizer(sql)
            except Exception as error:
                reason = f"fails in the parser: {type(error).__name__}"
        templates.append(template)
        reasons.append(reason)
        keys.append(
            None if text is None else hashlib.md5(text.encode("utf-8", "replace")).hexdigest()
        )
    progress[:] = NO_ROW.to_bytes(PROGRESS_BYTES, "little")
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {
        "templates": templates,
        "reject_reasons": reasons,
        "comparable_keys": keys,
        "resident_bytes": _resident_bytes(),
    }


def _resident_bytes() -> int:
    """The memory that this process takes now; 0 where the system does not say.

    Its peak (``ru_maxrss``) would not do: it starts at that of the process that started this one.
    """
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def fork_on_request(channel: socket.socket) -> tuple[int, int] | None:
    """Forks a process whenever one is wanted, and ends those that are wanted no more.

    Args:
        channel: Where that is said, at file descriptor 0.

    Returns:
        In each forked process, where its answers go and its progress file; jobs come from standard
        input, and what else it says goes to its file of errors. None when the channel ends.
    """
    processes: dict[bytes, int] = {}
    while True:
        number, files, *_ = socket.recv_fds(channel, MESSAGE_BYTES, 4)
        if not number:
            return None
        if files:
            jobs, answers, errors, progress = files
            try:
                processes[number] = os.fork()
            except OSError as error:
                os.write(errors, f"{error}\n".encode())
            if processes.get(number) == 0:
                # What the parser may print must not stand between the answers.
                for file, place in ((jobs, channel.detach()), (errors, 1), (errors, 2)):
                    os.dup2(file, place)
                os.close(jobs)
                os.close(errors)
                return answers, progress
            for file in files:
                os.close(file)
        else:
            code = 0
            if process := processes.pop(number, 0):
                os.kill(process, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            channel.sendall(code.to_bytes(MESSAGE_BYTES, "little", signed=True))


def serve(answers: BinaryIO, progress: mmap.mmap) -> None:
    """Serves jobs until standard input ends."""
    is_shared = parses_are_shared()
    templatizers: dict[tuple[Any, ...], Templatizer] = {}
    for line in sys.stdin.buffer:
        job = json.loads(line)
        key = (job["dialect"], job["max_characters"], job["max_brackets"], tuple(job["kinds"]))
        if key not in templatizers:
            templatizers[key] = Templatizer(key[0], Limits(*key[1:]), shares_parses=is_shared)
        answer = parse_queries(job, templatizers[key], progress)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def main() -> None:
    """Forks processes, and serves jobs in each."""
    # Ctrl-C reaches all processes of a terminal; whoever started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    freeze_for_forking()
    if files := fork_on_request(socket.socket(fileno=sys.stdin.fileno())):
        with os.fdopen(files[0], "wb") as answers, mmap.mmap(files[1], PROGRESS_BYTES) as progress:
            serve(answers, progress)


if __name__ == "__main__":
    main()
