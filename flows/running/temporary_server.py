"""A Prefect server that ends with the process that started it, however that process ends.

The temporary server of Prefect itself outlives a process that is killed. This one reads from a
pipe, which the operating system closes when the owner ends. Run as a script, this module is that
server.
"""

import asyncio
import atexit
import gc
import http.client
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Final

_HOST: Final = "127.0.0.1"
_SECONDS_TO_END: Final = 5.0
_DATABASE: Final = "PREFECT_API_DATABASE_CONNECTION_URL"
# An origin that no page has: nobody uses the server from a browser.
_ORIGIN: Final = "http://127.0.0.1:0"


class TemporaryServer:
    """A server process that belongs to this process, starting or up."""

    is_used: ClassVar[bool] = False
    """Whether this process runs its flows on a temporary server."""

    def __init__(self) -> None:
        # Only here: the server, a script, must start without a project path.
        from nl2sql_align.flows.running.server_access import make_password, protect_server

        self._access = protect_server(make_password(), _ORIGIN)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server lives
        self._process = subprocess.Popen(
            # -P: the modules next to this file must not shadow installed ones.
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **self._access, "PREFECT_UI_ENABLED": "false"},
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
        os.environ["PREFECT_API_URL"] = f"http://{_HOST}:{self._port}/api"
        # Over what the environment has for other servers.
        os.environ.update(self._access)
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


def _end_with_owner(folder: Path) -> None:
    sys.stdin.buffer.read()
    # Let the server write pending events to its database, but not forever.
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_SECONDS_TO_END)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def _use_own_database(folder: Path) -> None:
    """Give this server a database of its own, so that servers do not wait for each other.

    Creating the tables takes seconds, so the empty database of each version of Prefect is kept in
    Prefect's home. A database that the environment names is used instead.
    """
    if os.environ.get(_DATABASE):
        return
    own = folder / "prefect.db"
    os.environ[_DATABASE] = f"sqlite+aiosqlite:///{own}"
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    empty = home / "nl2sql-align" / f"empty-{version('prefect')}.db"
    if empty.exists():
        shutil.copyfile(empty, own)
        return
    from prefect.server.database import provide_database_interface

    asyncio.run(provide_database_interface().create_db())
    with suppress(OSError, sqlite3.Error):  # without it, the next server creates its tables, too
        empty.parent.mkdir(parents=True, exist_ok=True)
        new = empty.parent / f"{os.getpid()}.tmp"
        with closing(sqlite3.connect(own)) as con:  # a plain copy would lack the write-ahead log
            con.execute("vacuum into ?", [str(new)])
        new.replace(empty)


def _serve() -> None:
    """Run the server: print its port, answer requests, and end when standard input closes."""
    # As in tasks.base.garbage, not imported here: the script must start without a project path.
    gc.set_threshold(10_000)
    # uvicorn raises the signal again once it is down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    folder = Path(tempfile.mkdtemp(prefix="nl2sql-align-server-"))
    threading.Thread(target=_end_with_owner, args=(folder,), daemon=True).start()
    try:
        with socket.create_server((_HOST, 0)) as listening:
            # Clients may connect from now on; they get an answer once the server is up.
            print(listening.getsockname()[1], flush=True)
            _use_own_database(folder)
            import uvicorn
            from prefect.server.api.server import create_app

            app = create_app(ephemeral=True, final=True)
            config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _serve()
