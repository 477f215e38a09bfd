"""The processes that parse: each may crash or hang at a query, and is then replaced.

``python -m nl2sql_align.tasks.templates.parser_process``, with a socket as standard input, runs the
process that forks them. It has the parser loaded, with the dialects that its arguments name, and
never parses, so that no query ends it. A message to it is a number. With files, it starts a process
of that number. Without, it ends that process, which the same message confirms. The forking process
ends when the socket closes, and ends the others.

A forked process reads requests from standard input, answers each, and ends with its input.

This module imports only the parser, so that it starts soon and stays small.
"""

import hashlib
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import IO

from nl2sql_align.tasks.base.garbage import freeze_for_forking
from nl2sql_align.tasks.templates.parse_sharing import parses_are_shared
from nl2sql_align.tasks.templates.parser_protocol import (
    NUMBER_BYTES,
    ParseAnswer,
    ParseRequest,
    decode_request,
    encode_answer,
    write_row,
)
from nl2sql_align.tasks.templates.rules import Limits
from nl2sql_align.tasks.templates.templatizer import Templatizer


def parse_queries(
    request: ParseRequest, templatizer: Templatizer, progress: IO[bytes]
) -> ParseAnswer:
    """Turn queries into templates.

    Args:
        request: The queries.
        templatizer: One for their dialect and limits.
        progress: The file in which to record the row at work.
    """
    # The run ends this process sooner. If the run is gone, the system does, by SIGALRM.
    seconds = 3 * request.seconds_per_query
    templates: list[str | None] = []
    reasons: list[str | None] = []
    keys: list[str | None] = []
    for row, sql in enumerate(request.queries):
        write_row(progress, row)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        template, reason, text = None, request.skip.get(row), None
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
    write_row(progress)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return ParseAnswer(templates, reasons, keys, _resident_bytes())


def _resident_bytes() -> int:
    """Return the memory of this process; 0 if the system does not report it.

    The peak (``ru_maxrss``) would be wrong, as it starts at the peak of the forking process.
    """
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def fork_on_request(channel: socket.socket) -> tuple[int, int] | None:
    """Fork processes, and end them, as the messages of a channel ask.

    Args:
        channel: The channel, at file descriptor 0.

    Returns:
        In each forked process, the descriptors of the file for its answers and of its progress
        file. Its requests come from standard input, and its output goes to its file of errors. In
        the forking process, None when the channel closes.
    """
    processes: dict[bytes, int] = {}
    while True:
        number, files, *_ = socket.recv_fds(channel, NUMBER_BYTES, 4)
        if not number:  # the run has ended, and a process may be at a query that takes long
            for process in processes.values():
                os.kill(process, signal.SIGKILL)
            return None
        if files:
            requests, answers, errors, progress = files
            try:
                processes[number] = os.fork()
            except OSError as error:
                os.write(errors, f"{error}\n".encode())
            if processes.get(number) == 0:
                # What the parser prints must not get between the answers.
                for file, place in ((requests, channel.detach()), (errors, 1), (errors, 2)):
                    os.dup2(file, place)
                os.close(requests)
                os.close(errors)
                return answers, progress
            for file in files:
                os.close(file)
        else:
            if process := processes.pop(number, 0):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
            channel.sendall(number)


def serve_requests(answers: IO[bytes], progress: IO[bytes]) -> None:
    """Answer requests until standard input ends."""
    shares_parses = parses_are_shared()
    templatizers: dict[tuple[str, Limits], Templatizer] = {}
    for line in sys.stdin.buffer:
        request = decode_request(line)
        key = request.dialect, request.limits
        if key not in templatizers:
            templatizers[key] = Templatizer(*key, shares_parses=shares_parses)
        answers.write(encode_answer(parse_queries(request, templatizers[key], progress)))
        answers.flush()


def main() -> None:
    """Fork processes, and serve requests in each."""
    # Ctrl-C reaches all processes of a terminal; the run ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for dialect in sys.argv[1:]:
        Templatizer(dialect)
    freeze_for_forking()
    if files := fork_on_request(socket.socket(fileno=sys.stdin.fileno())):
        with os.fdopen(files[0], "wb") as answers, os.fdopen(files[1], "r+b") as progress:
            serve_requests(answers, progress)


if __name__ == "__main__":
    main()
