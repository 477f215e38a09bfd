"""Access to the Prefect servers that the program starts: by password only, and not from web pages.

Prefect's own server has no password, and answers pages of every web origin. Whoever reaches it can
run commands as the user of its worker.
"""

import os
import secrets
from pathlib import Path
from typing import Final

_SERVER_PASSWORD: Final = "PREFECT_SERVER_API_AUTH_STRING"
_CLIENT_PASSWORD: Final = "PREFECT_API_AUTH_STRING"
_USER: Final = "nl2sql-align"
_BYTES: Final = 32


def make_password() -> str:
    """Return a new random password, with the user name that Prefect expects before it."""
    return f"{_USER}:{secrets.token_urlsafe(_BYTES)}"


def load_password(file: Path) -> str:
    """Return the password in a file that only this user can read; create the file if missing.

    A password for servers in the environment takes precedence and is not stored.

    Raises:
        OSError: The file cannot be read or created.
    """
    if given := os.environ.get(_SERVER_PASSWORD):
        return given
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        file.chmod(0o600)
        return file.read_text(encoding="utf-8").strip()
    with os.fdopen(descriptor, "w", encoding="utf-8") as created:
        password = make_password()
        created.write(f"{password}\n")
    return password


def protect_server(password: str, origin: str) -> dict[str, str]:
    """Return the variables that protect a server, and that give its clients access.

    Args:
        password: The password, as ``make_password`` returns it.
        origin: The only web origin whose pages may use the server.
    """
    return {
        _SERVER_PASSWORD: password,
        _CLIENT_PASSWORD: password,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origin,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }
