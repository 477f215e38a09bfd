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
from contextlib import suppress
from typing import ClassVar

from nl2sql_align.flows.running import server_process
from nl2sql_align.flows.running.server_access import (
    CLIENT_PASSWORD,
    SERVER_PASSWORD,
    make_password,
)
from nl2sql_align.flows.running.server_process import HOST, SECONDS_TO_END


class TemporaryServer:
    """A server process that belongs to this process, starting or up."""

    is_used: ClassVar[bool] = False
    """Whether this process runs its flows on a temporary server."""

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
                "PREFECT_UI_ENABLED": "false",
                SERVER_PASSWORD: self._password,
            },
            # Ctrl-C and hang-ups signal every process of a terminal, but a flow needs its server
            # until it has ended.
            start_new_session=True,
        )
        atexit.register(self.stop)

    def use(self) -> None:
        """Point Prefect in this process to the server."""
        from prefect.context import refresh_global_settings_context

        assert self._process.stdout is not None
        # A server that died printed no port; wait() then reports why.
        self._port = int(self._process.stdout.readline() or 0)
        os.environ["PREFECT_API_URL"] = f"http://{HOST}:{self._port}/api"
        os.environ[CLIENT_PASSWORD] = self._password
        refresh_global_settings_context()
        TemporaryServer.is_used = True

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            OSError: It died, with its last messages, or takes too long.
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
            raise OSError(" ".join(words)[-200:] or str(error)) from None
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


def start_unless_configured() -> TemporaryServer | None:
    """Start a server unless Prefect's settings name one or forbid a temporary one."""
    if os.environ.get("PREFECT_API_URL"):
        return None
    # Start before reading the settings: both processes then import Prefect at the same time.
    server = TemporaryServer()
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url is not None or not settings.server.ephemeral.enabled:
        server.stop()
        return None
    server.use()
    return server
