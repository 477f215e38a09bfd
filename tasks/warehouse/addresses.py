"""Addresses of files on object stores, and paths as users write them."""

import os
from pathlib import Path
from typing import Final

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.secrets import hide_all_but_scheme, hide_secrets, holds_credentials

_PACKAGES: Final = {
    "hf": "'nl2sql-align[hf]'",
    "http": "aiohttp requests",
    "https": "aiohttp requests",
    "s3": "'nl2sql-align[s3]'",
    "s3a": "'nl2sql-align[s3]'",
}


def is_address(text: str) -> bool:
    """Return whether a text is an address such as ``s3://bucket/file``, not a path."""
    return "://" in text


def name_installation(address: str) -> str:
    """Return how to install the driver of an address, as the remedy of a message."""
    scheme = address.partition("://")[0]
    if package := _PACKAGES.get(scheme):
        return f"install it with pip install {package}"
    return f"install the fsspec driver of {scheme}://"


def refuse_credentials(*places: Path | str) -> None:
    """Check that paths and addresses do not contain credentials.

    Raises:
        ConfigurationError: One of them may contain credentials; the message does not.
    """
    for place in map(str, places):
        if holds_credentials(place):
            raise ConfigurationError(
                f"the address {hide_all_but_scheme(place)} may contain credentials; remove them, "
                "and set them in the environment"
            )


def expand_home(path: Path | str) -> Path:
    """Return a path with a home folder in place of ``~``, which no shell has replaced in a file."""
    # Unlike pathlib's, this leaves the names of unknown users.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def describe_error(error: Exception) -> str:
    """Describe an error of a store in one line without secrets."""
    lines = hide_secrets(str(error)).splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"
