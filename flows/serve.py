"""Prefect server, work pool and worker on this machine, as started by ``make serve``.

One folder, Prefect's home, contains the database, the logs, the password, and a lock file that is
locked while any process of the service lives. The server answers only requests with the password,
and only those of Prefect's own pages or of programs, because anyone who can start a run can run
commands.
"""

import fcntl
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.markup import escape

from nl2sql_align.flows.running import server_process
from nl2sql_align.flows.running.server_access import (
    CLIENT_PASSWORD,
    SERVER_PASSWORD,
    choose_password,
    read_password,
)
from nl2sql_align.flows.running.server_process import HOST
from nl2sql_align.tasks.base.environment import set_library_defaults
from nl2sql_align.tasks.views.terminal.console import err, out
from nl2sql_align.tasks.views.terminal.help import CONTEXT_SETTINGS, show_no_types
from nl2sql_align.tasks.warehouse.folder import write_atomically

PASSWORD_FILE: Final = "password"
"""Name of the file in Prefect's home with the password of the server."""

POOL: Final = "nl2sql-align"
"""Name of the work pool in ``prefect.yaml``."""

MAX_CONCURRENT_RUNS: Final = 2
_DEPLOYMENTS: Final = Path("prefect.yaml")
_ORIGINS: Final = ("PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS", "PREFECT_SERVER_CORS_ALLOWED_ORIGINS")
_START_TIMEOUT_SECONDS: Final = 300.0
_STOP_TIMEOUT_SECONDS: Final = 30.0
_MAX_RESTART_DELAY_SECONDS: Final = 60.0

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
    pretty_exceptions_show_locals=False,  # one is the password
    help="Run a Prefect server and a worker on this machine.",
)
show_no_types()
Home = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder for the database, logs and lock of the service.")
]
Port = Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Port of the server.")]


@dataclass(frozen=True)
class Service:
    """A running service. ``pid`` is 0 and ``url`` empty while it starts."""

    pid: int
    url: str


def find_service(home: Path) -> Service | None:
    """Return the running service that uses a folder as its home, or None."""
    try:
        with (home / "serve.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        with suppress(OSError, ValueError, TypeError):
            return Service(**json.loads((home / "serve.json").read_text()))
        return Service(0, "")
    return None


@app.command()
def start(home: Home = Path(".prefect"), port: Port = 4200) -> None:
    """Start the service in the background, unless it is running, and deploy ./prefect.yaml.

    Writes a prefect.yaml with the default deployments if the folder has none.
    """
    home = _make_home(home)
    if not _DEPLOYMENTS.exists():
        _DEPLOYMENTS.write_text(_packaged_deployments(), encoding="utf-8")
        out.print("Wrote prefect.yaml: set the folders of your dumps there, then start again")
    if find_service(home) is None:
        # Report mistakes here, where people see them; the service writes to its log.
        _list_origins(port)
        _listen(port).close()
        log = home / "serve.log"
        arguments = ["supervise", "--home", str(home), "--port", str(port)]
        with log.open("ab") as file:
            supervisor = subprocess.Popen(
                [sys.executable, "-m", "nl2sql_align.flows.serve", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        out.print("Starting Prefect's server (it takes some 20 seconds)", soft_wrap=True)
        _wait_until_up(home, supervisor, log)
    service = find_service(home)
    if service is None or not service.pid:
        _fail(f"the service is still starting or has died; see {home}/serve.log, then try again")
    password = read_password(home / PASSWORD_FILE)
    if password is None:
        _fail(
            "the running service has no password, as in earlier versions; stop it, then try again"
        )
    deployment = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        env=_environment(home, service.url, password),
        capture_output=True,
        text=True,
        check=False,
    )
    (home / "deploy.log").write_text(deployment.stdout + deployment.stderr)
    if deployment.returncode:
        _fail(f"cannot deploy prefect.yaml; see {home}/deploy.log")
    out.print(
        f"Prefect is up: {service.url.removesuffix('/api')} (logs: {home}/*.log)", soft_wrap=True
    )
    secret = shlex.quote(str(home / PASSWORD_FILE))
    out.print("In your shell:")
    out.print(f"  export PREFECT_API_URL={service.url}", soft_wrap=True)
    out.print(f'  export {CLIENT_PASSWORD}="$(cat {escape(secret)})"', soft_wrap=True)
    out.print(f"The browser asks for the password: cat {escape(secret)}", soft_wrap=True)


@app.command()
def stop(home: Home = Path(".prefect")) -> None:
    """Stop the service and its runs; a stopped run can be started again."""
    home = home.resolve()
    service = find_service(home)
    if service is None:
        out.print("Prefect is not running")
        return
    # If the supervisor was killed, its server and worker are still in its process group.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            if number is signal.SIGTERM and _is_alive(service.pid):
                os.kill(service.pid, number)
            elif service.pid:
                os.killpg(service.pid, number)
        until = time.monotonic() + _STOP_TIMEOUT_SECONDS
        while time.monotonic() < until:
            if find_service(home) is None:
                (home / "serve.json").unlink(missing_ok=True)
                out.print("Prefect has stopped")
                return
            time.sleep(0.1)
    _fail(f"processes of group {service.pid} do not stop; look for them with ps -eo pgid,pid,args")


@app.command()
def supervise(home: Home = Path(".prefect"), port: Port = 4200) -> None:
    """Keep server and worker alive in the foreground, for a service manager."""
    home = _make_home(home)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with (home / "serve.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _fail(f"another service uses {home}; stop it, or choose another --home")
        origins = _list_origins(port)
        # The server inherits the socket. So no other program can take its port while it restarts,
        # and receive the password of its clients.
        listening = _listen(port)
        url = f"http://{HOST}:{port}/api"
        password = choose_password(home / PASSWORD_FILE)
        os.environ.update(_environment(home, url, password))
        # Runs need no password for servers of their own.
        os.environ.pop(SERVER_PASSWORD, None)
        set_library_defaults()
        settings = {
            SERVER_PASSWORD: password,
            _ORIGINS[0]: ",".join(origins),
            "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            # Logs with the reason of a failure, and results, reach `deployment run --watch`.
            "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
            "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
        }
        server = _Child(
            "server",
            ["-P", server_process.__file__, str(listening.fileno())],
            home,
            [lock.fileno(), listening.fileno()],
            settings,
        )
        worker = _Child(
            "worker",
            [
                "-m",
                "prefect",
                "worker",
                "start",
                "--pool",
                POOL,
                "--type",
                "process",
                "--name",
                "here",
            ],
            home,
            [lock.fileno()],
        )
        try:
            server.keep_alive()
            while not _is_healthy(url):
                server.keep_alive()
                time.sleep(0.25)
            _create_or_update_pool()
            with write_atomically(home / "serve.json") as temporary:
                temporary.write_text(json.dumps(asdict(Service(os.getpid(), url))))
            while True:
                server.keep_alive()
                worker.keep_alive()
                time.sleep(1)
        except KeyboardInterrupt:
            pass
        finally:
            worker.end()
            server.end()


class _Child:
    """A Prefect process that is restarted when it ends, after increasing delays."""

    def __init__(
        self,
        name: str,
        arguments: list[str],
        home: Path,
        inherited: list[int],
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._arguments = arguments
        self._log = home / f"{name}.log"
        self._inherited = inherited
        self._variables = variables or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._delay = 0.0

    def keep_alive(self) -> None:
        now = time.monotonic()
        if self._process is not None:
            if self._process.poll() is None:
                return
            if now - self._started > 10 * _MAX_RESTART_DELAY_SECONDS:
                self._delay = 0.0
            if now - self._started < self._delay:
                return
            print(
                f"{self._name} ended with {self._process.returncode}; see {self._log}", flush=True
            )
        self._delay = min(_MAX_RESTART_DELAY_SECONDS, 2 * self._delay or 2.0)
        self._started = now
        with self._log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, *self._arguments],
                env={**os.environ, **self._variables},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # Inheriting the lock's file keeps it locked while any process lives.
                pass_fds=self._inherited,
            )

    def end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_SECONDS / 3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _packaged_deployments() -> str:
    """Return the ``prefect.yaml`` that comes with the program."""
    return files("nl2sql_align").joinpath("prefect.yaml").read_text(encoding="utf-8")


def _make_home(home: Path) -> Path:
    """Make the home if it is missing, for this user only, and return its full path."""
    home = home.resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return home


def _listen(port: int) -> socket.socket:
    """Open the port for the server."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        _fail(
            f"cannot open port {port} ({os.strerror(error.errno or 0)}); stop the program that "
            "uses it, or choose another port: make serve PORT=4201"
        )


def _list_origins(port: int) -> list[str]:
    """List the addresses whose pages may use the server: its own, and those that the user names."""
    named = next((os.environ[name] for name in _ORIGINS if os.environ.get(name)), "")
    others = [origin for part in named.split(",") if (origin := part.strip().rstrip("/"))]
    for origin in others:
        if not re.fullmatch(r"https?://[^/*\s]+", origin):
            _fail(
                f"'{origin}' in {_ORIGINS[1]} is not an origin, such as https://prefect.example.org"
            )
    return [f"http://{HOST}:{port}", f"http://localhost:{port}", *others]


def _environment(home: Path, url: str, password: str) -> dict[str, str]:
    """Return the environment for the processes of a service and its clients."""
    return {
        **os.environ,
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        CLIENT_PASSWORD: password,
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "true",
        "NL2SQL_ALIGN_PROJECT": str(Path.cwd()),
    }


def _create_or_update_pool() -> None:
    """Create the work pool, or update its limit."""
    from prefect import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
            client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=MAX_CONCURRENT_RUNS))
        except ObjectNotFound:
            template: dict[str, Any] = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(
                WorkPoolCreate(
                    name=POOL,
                    type="process",
                    base_job_template=template,
                    concurrency_limit=MAX_CONCURRENT_RUNS,
                )
            )


def _wait_until_up(home: Path, supervisor: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_TIMEOUT_SECONDS
    while not ((service := find_service(home)) and service.pid == supervisor.pid):
        if supervisor.poll() is not None:
            _fail(f"the service died; see {log} and {home}/server.log")
        if time.monotonic() > until:
            supervisor.terminate()
            _fail(f"the server does not answer in time; see {home}/server.log")
        time.sleep(0.2)


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _is_alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _fail(problem: str) -> NoReturn:
    err.print(f"nl2sql-align: {escape(problem)}", soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
