"""Addresses of files on object stores: which texts are some, and what must not stand in them."""

import os
import re
from typing import Final
from urllib.parse import urlsplit

_SECRET_NAMES: Final = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|SAS|CONNECTION", re.I)
_SHORTEST_SECRET: Final = 8


def is_address(text: str) -> bool:
    """Whether a text is an address, and no path."""
    return "://" in text


def holds_credentials(address: str) -> bool:
    """Whether an address holds what may be credentials: users, passwords, signatures."""
    parts = urlsplit(address)
    is_container = parts.scheme.startswith("abfs") and not parts.password
    return ("@" in parts.netloc and not is_container) or (
        parts.scheme.startswith("http") and bool(parts.query)
    )


def without_secrets(text: str) -> str:
    """A message without the values of those environment variables that may be credentials."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def told(error: Exception) -> str:
    """What went wrong at a store, in one line without secrets."""
    said = without_secrets(str(error)).splitlines() or ["no message"]
    return f"{type(error).__name__}: {said[0]}"
