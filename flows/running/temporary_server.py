"""A Prefect server that ends with the process that started it, however that process ends.

The temporary server of Prefect itself outlives a process that is killed. This one reads from a
pipe, which the operating system closes when the owner ends. Run as a script, this module is that
server.
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
    """A server process that belongs to this process, starting or up."""

    is_used: ClassVar[bool] = False
    """Whether this process runs its flows on a temporary server."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server lives
        self._process = subprocess.Popen(
            # -P: the modules next to this file must not shadow installed ones.
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PREFECT_UI_ENABLED": "false"},
            # Ctrl-C and hang-ups signal every process of a terminal, but a flow needs its server
            # until it has ended.
            start_new_session=True,
        )
        atexit.register(self.stop)

    def use(self) -> None:
        """Point Prefect in this process to the server."""
        from prefect.context import refresh_global_settings_context
        from prefect.settings import get_current_settings

        assert self._process.stdout is not None
        # A server that died printed no port; wait() then reports why.
        self._port = int(self._process.stdout.readline() or 0)
        os.environ["PREFECT_API_URL"] = f"http://{_HOST}:{self._port}/api"
        password = get_current_settings().server.api.auth_string
        if password is not None:
            # The user's client may know another server's password, or none.
            os.environ["PREFECT_API_AUTH_STRING"] = password.get_secret_value()
        refresh_global_settings_context()
        TemporaryServer.is_used = True

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            OSError: It died, with its last messages, or takes too long.
        """
        from prefect.settings import get_current_settings

        seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=seconds)
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
            self._process.wait(2 * _SECONDS_TO_END)
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


def _end_with_owner() -> None:
    sys.stdin.buffer.read()
    # Let the server write pending events to its database, but not forever.
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_SECONDS_TO_END)
    os._exit(1)


def _serve() -> None:
    """Run the server: print its port, answer requests, and end when standard input closes."""
    # As in tasks.base.garbage, not imported here: the script must start without a project path.
    gc.set_threshold(10_000)
    threading.Thread(target=_end_with_owner, daemon=True).start()
    with socket.create_server((_HOST, 0)) as listening:
        # Clients may connect from now on; they get an answer once the server is up.
        print(listening.getsockname()[1], flush=True)
        import uvicorn
        from prefect.server.api.server import create_app

        app = create_app(ephemeral=True, final=True)
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    _serve()
