"""A Prefect server that ends with the process that started it, however that process ends.

The temporary server of Prefect itself outlives a process that is killed, and answers anyone. This
one reads from a pipe, which the operating system closes when the owner ends, and asks for a
password that only the environments of the run and its server contain.
"""

import atexit
import http.client
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Final

from nl2sql_align.flows.running import server_process
from nl2sql_align.flows.running.server_access import (
    CLIENT_PASSWORD,
    SERVER_PASSWORD,
    make_password,
)
from nl2sql_align.flows.running.server_process import HOST, SECONDS_TO_END
from nl2sql_align.tasks.base.environment import CACHE_VARIABLE, cache_folder
from nl2sql_align.tasks.base.errors import AlignError


class TemporaryServer:
    """A server process that belongs to this process, starting or up."""

    def __init__(self) -> None:
        self._password = make_password()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server lives
        self._process = subprocess.Popen(
            # -P: the modules next to this file must not shadow installed ones.
            [sys.executable, "-P", server_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={
                **os.environ,
                CACHE_VARIABLE: str(cache_folder()),
                "PREFECT_UI_ENABLED": "false",
                SERVER_PASSWORD: self._password,
            },
            # Ctrl-C and hang-ups signal every process of a terminal, but a flow needs its server
            # until it has ended.
            start_new_session=True,
        )
        atexit.register(self.stop)

    @cached_property
    def _port(self) -> int:
        assert self._process.stdout is not None
        # A server that died printed no port; wait() then reports why.
        return int(self._process.stdout.readline() or 0)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of Prefect that point a client to the server."""
        return {
            "PREFECT_API_URL": f"http://{HOST}:{self._port}/api",
            CLIENT_PASSWORD: self._password,
        }

    def use(self) -> None:
        """Point Prefect in this process and its children to the server."""
        from prefect.context import refresh_global_settings_context

        os.environ.update(self.settings)
        refresh_global_settings_context()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let Prefect use the server in the block, and in processes that the block starts."""
        from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

        url, password = self.settings.values()
        with temporary_settings({PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: password}):
            yield

    def is_used(self) -> bool:
        """Return whether Prefect is pointed to the server."""
        from prefect.settings import get_current_settings

        return get_current_settings().api.url == self.settings["PREFECT_API_URL"]

    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            AlignError: It died, with its last messages, or takes too long.
        """
        from prefect.settings import get_current_settings

        seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
        connection = http.client.HTTPConnection(HOST, self._port, timeout=seconds)
        try:
            connection.request("GET", "/api/health")
            connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._errors.seek(0)
            words = self._errors.read().decode("utf-8", "replace").split()
            reason = " ".join(words)[-200:] or str(error)
            raise AlignError(
                f"Prefect's server does not start ({reason}); check memory and disk space, or set "
                "PREFECT_API_URL to a running server"
            ) from None
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2 * SECONDS_TO_END)
        self._process.kill()
        self._process.wait()


_servers: Final[list[TemporaryServer]] = []
_starting: Final = threading.Lock()


def start_unless_configured() -> TemporaryServer | None:
    """Start a server for all of this process, unless Prefect's settings name or forbid one."""
    if os.environ.get("PREFECT_API_URL"):
        return None
    # Start before reading the settings: both processes then import Prefect at the same time.
    server = TemporaryServer()
    if not _is_needed():
        server.stop()
        return None
    server.use()
    _servers.append(server)
    return server


@contextmanager
def serving() -> Iterator[None]:
    """Point Prefect in the block to a server of this process, unless its settings name one.

    The first block starts the server, which ends with the process. A flow within another one uses
    the server of that one.

    Raises:
        AlignError: The server does not start.
    """
    from prefect.context import FlowRunContext

    if FlowRunContext.get() is not None or not _is_needed():
        yield
        return
    with _starting:
        if not _servers or not _servers[-1].is_running():
            server = TemporaryServer()
            server.wait()
            _servers.append(server)
    with _servers[-1].in_use():
        yield


@contextmanager
def shared_with_workers() -> Iterator[None]:
    """Point workers to the Prefect server of this run; each would start its own otherwise."""
    from prefect import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with get_client(sync_client=True) as client:
        address = str(client.api_url).rstrip("/")
    with temporary_settings({PREFECT_API_URL: address}):
        yield


def is_temporary() -> bool:
    """Return whether Prefect is pointed to a temporary server, which ends with the process."""
    return any(server.is_used() for server in _servers)


def _is_needed() -> bool:
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    return settings.api.url is None and settings.server.ephemeral.enabled
