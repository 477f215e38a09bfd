"""Addresses of files on object stores, and messages without credentials."""

import os
import re
from typing import Final
from urllib.parse import urlsplit

_SECRET_NAMES: Final = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|SAS|CONNECTION", re.I)
_SHORTEST_SECRET: Final = 8


def is_address(text: str) -> bool:
    """Return whether a text is an address such as ``s3://bucket/file``, not a path."""
    return "://" in text


def holds_credentials(address: str) -> bool:
    """Return whether an address may hold credentials: a user, a password or a signature."""
    parts = urlsplit(address)
    is_container = parts.scheme.startswith("abfs") and not parts.password
    return ("@" in parts.netloc and not is_container) or (
        parts.scheme.startswith("http") and bool(parts.query)
    )


def hide_secrets(text: str) -> str:
    """Replace the values of environment variables that may hold credentials with ``***``."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def describe_error(error: Exception) -> str:
    """Describe an error of a store in one line without secrets."""
    lines = hide_secrets(str(error)).splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"
