"""Passwords of the Prefect servers that the program starts.

Prefect's own server has no password by default. Anyone who reaches it can run commands as the
user of its worker.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.warehouse.folder import write_atomically

SERVER_PASSWORD: Final = "PREFECT_SERVER_API_AUTH_STRING"
CLIENT_PASSWORD: Final = "PREFECT_API_AUTH_STRING"
_USER: Final = "nl2sql-align"
_BYTES: Final = 32


def make_password() -> str:
    """Return a new random password, with the user name that Prefect expects before it."""
    return f"{_USER}:{secrets.token_urlsafe(_BYTES)}"


def choose_password(file: Path) -> str:
    """Return the password for a server: from the environment, else from a file, else a new one.

    Stores it in the file, which only this user can read.

    Raises:
        OSError: The file cannot be read or written.
    """
    password = os.environ.get(SERVER_PASSWORD) or read_password(file) or make_password()
    with write_atomically(file) as temporary:
        temporary.touch(mode=0o600, exist_ok=False)
        temporary.write_text(f"{password}\n", encoding="utf-8")
    return password


def read_password(file: Path) -> str | None:
    """Return the password in a file, or None if the file is missing or empty.

    Raises:
        OSError: The file exists and cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
