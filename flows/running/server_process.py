"""The process of a Prefect server that answers only requests meant for it. Run as a script.

Web pages in a browser on this machine can reach every server on it. Such a page is
recognized by the ``Origin`` that browsers send, and, where a name of its site was pointed to this
machine, by the ``Host``. Other programs need Prefect's own password.
"""

import gc
import importlib.metadata
import os
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

HOST: Final = "127.0.0.1"
SECONDS_TO_END: Final = 5.0
_LOOPBACK: Final = frozenset({HOST, "localhost"})
_MOST_ATTEMPTS: Final = 10
_DATABASES: Final = (
    "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    "PREFECT_API_DATABASE_CONNECTION_URL",
)

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]


class Guard:
    """An ASGI application that refuses requests of foreign web pages, with status 403.

    A request must be for this machine, or for the host of an allowed origin; its origin, if it
    names one, must be allowed.
    """

    def __init__(self, app: _App, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._origins = {origin.encode() for origin in origins}
        self._hosts = _LOOPBACK | {urlsplit(origin).hostname for origin in origins}

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request or refuse it."""
        if scope["type"] == "lifespan" or self._is_allowed(scope["headers"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            text = b'{"detail": "This server does not answer requests of this host or origin"}'
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": text})

    def _is_allowed(self, headers: list[tuple[bytes, bytes]]) -> bool:
        hosts = [value for name, value in headers if name == b"host"]
        origins = {value for name, value in headers if name == b"origin"}
        return (
            origins <= self._origins
            and len(hosts) == 1
            and _name_of_host(hosts[0].decode("latin-1")) in self._hosts
        )


def _name_of_host(header: str) -> str | None:
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _serve_temporarily() -> None:
    """Run the server of one run: print its port, and end when standard input closes.

    Its database is its own, unless the environment names one. Servers that start together would
    fail to migrate a shared one, and an older Prefect cannot use one that a newer one has migrated.
    """
    # As in tasks.base.garbage, not imported here: the script must start without a project path.
    gc.set_threshold(10_000)
    # An ordinary exit removes the folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="nl2sql-align-prefect-") as folder:
        can_end_at_once = threading.Event()
        threading.Thread(
            target=_end_with_owner, args=[Path(folder), can_end_at_once], daemon=True
        ).start()
        with socket.create_server((HOST, 0)) as listening:
            # Clients may connect from now on; they get an answer once the server is up.
            print(listening.getsockname()[1], flush=True)
            if not any(os.environ.get(name) for name in _DATABASES):
                _make_database(Path(folder) / "prefect.db")
                can_end_at_once.set()
            import uvicorn
            from prefect.server.api.server import create_app

            app = Guard(create_app(ephemeral=True, final=True))
            config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
            uvicorn.Server(config).run(sockets=[listening])


def _end_with_owner(folder: Path, can_end_at_once: threading.Event) -> None:
    """Wait until the owner ends or closes the pipe, then end this process.

    Args:
        folder: The folder to remove.
        can_end_at_once: Set while all that the server writes is in this folder.
    """
    sys.stdin.buffer.read()
    if not can_end_at_once.is_set():
        # Let the server write pending events to a database that is kept, but not forever.
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(SECONDS_TO_END)
    for _ in range(_MOST_ATTEMPTS):  # the server may add files until its folder is gone
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
    os._exit(0)


def _make_database(database: Path) -> None:
    """Make the server's database, and point Prefect to it, which must not be imported yet.

    Prefect takes seconds to make one, so a copy for each version is kept in the cache, for all
    homes of Prefect.
    """
    version = importlib.metadata.version("prefect")
    template = Path(os.environ["NL2SQL_ALIGN_CACHE"]) / f"prefect-{version}.db"
    os.environ[_DATABASES[0]] = f"sqlite+aiosqlite:///{database}"
    os.environ["PREFECT_SERVER_DATABASE_DRIVER"] = "sqlite+aiosqlite"
    os.environ["PREFECT_SERVER_DATABASE_MIGRATE_ON_START"] = "false"
    # Runs use neither blocks nor Prefect's record, in its home, of the blocks in a database.
    os.environ["PREFECT_SERVER_REGISTER_BLOCKS_ON_START"] = "false"
    os.environ["PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION"] = "false"
    with suppress(OSError):
        shutil.copyfile(template, database)
        if _is_whole(database):
            return
    database.unlink(missing_ok=True)
    import asyncio

    from prefect.server.database import provide_database_interface

    asyncio.run(provide_database_interface().create_db())
    with suppress(OSError, sqlite3.Error):  # a cache that cannot be written only costs time
        template.parent.mkdir(parents=True, exist_ok=True)
        temporary = template.with_name(f"{database.parent.name}.part")
        try:
            with (
                closing(sqlite3.connect(database)) as made,
                closing(sqlite3.connect(temporary)) as copy,
            ):
                made.backup(copy)
            temporary.replace(template)
        finally:
            temporary.unlink(missing_ok=True)


def _is_whole(database: Path) -> bool:
    try:
        with closing(sqlite3.connect(database)) as con:
            [[verdict]] = con.execute("pragma quick_check(1)").fetchall()
            return bool(verdict == "ok" and con.execute("select 1 from alembic_version").fetchall())
    except sqlite3.Error:
        return False


def _serve_permanently(descriptor: int) -> None:
    """Run the server of a service on a listening socket that the service has opened."""
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    settings = get_current_settings().server.api
    origins = settings.cors_allowed_origins.split(",")
    config = uvicorn.Config(
        Guard(create_app(final=True), origins),
        log_level="warning",
        timeout_keep_alive=settings.keepalive_timeout,
        timeout_graceful_shutdown=int(SECONDS_TO_END),
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _serve_permanently(int(sys.argv[1]))
    else:
        _serve_temporarily()
