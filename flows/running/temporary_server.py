"""Prefect's server for one process: it is there for what that process runs, and ends with it.

The server that Prefect itself would start outlives a process that is killed. This one holds the
other end of a pipe, which the system closes however its owner ends. As a program it is that server.
"""

import atexit
import gc
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from typing import ClassVar, Final

_HOST: Final = "127.0.0.1"
_SECONDS_TO_END: Final = 5.0


class TemporaryServer:
    """A server that is starting."""

    is_used: ClassVar[bool] = False

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server lives
        self._process = subprocess.Popen(
            # -P: what lies beside this file must not stand in for modules.
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PREFECT_UI_ENABLED": "false"},
            # Ctrl-C and the end of a terminal go to all its processes, but a flow needs its server
            # until it has ended.
            start_new_session=True,
        )
        atexit.register(self.stop)

    def use(self) -> None:
        """Makes it the server of the flows that this process runs from now on."""
        from prefect.context import refresh_global_settings_context

        assert self._process.stdout is not None
        # A server that has ended says none: to wait for it tells why.
        self._port = int(self._process.stdout.readline() or 0)
        os.environ["PREFECT_API_URL"] = f"http://{_HOST}:{self._port}/api"
        refresh_global_settings_context()
        TemporaryServer.is_used = True

    def wait(self) -> None:
        """Waits until the server answers.

        Raises:
            OSError: It has ended, with what it said last, or takes too long.
        """
        from prefect.settings import get_current_settings

        seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=seconds)
        try:
            connection.request("GET", "/api/health")
            connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace").split()
            raise OSError(" ".join(said)[-200:] or str(error)) from None
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends the server, and waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2 * _SECONDS_TO_END)
        self._process.kill()
        self._process.wait()


def start_unless_there() -> TemporaryServer | None:
    """Starts a server where none is set up; Prefect's settings say whether one is."""
    if os.environ.get("PREFECT_API_URL"):
        return None
    # It loads Prefect while this process does, and is ended again where a profile names another.
    server = TemporaryServer()
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url is not None or not settings.server.ephemeral.enabled:
        server.stop()
        return None
    server.use()
    return server


def _end_with_owner() -> None:
    sys.stdin.buffer.read()
    # It ends in order, unless it takes too long: it writes down what it has been told.
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_SECONDS_TO_END)
    os._exit(1)


def _serve() -> None:
    """Is the server: says its port, answers requests, and ends when standard input does."""
    gc.set_threshold(10_000)  # see tasks.base.garbage, which it does not load
    threading.Thread(target=_end_with_owner, daemon=True).start()
    with socket.create_server((_HOST, 0)) as listening:
        # Who connects from now on is answered when the server is up.
        print(listening.getsockname()[1], flush=True)
        import uvicorn
        from prefect.server.api.server import create_app

        app = create_app(ephemeral=True, final=True)
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    _serve()
