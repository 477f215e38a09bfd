"""Addresses of files on object stores."""

from pathlib import Path

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.secrets import hide_all_but_scheme, hide_secrets, holds_credentials


def is_address(text: str) -> bool:
    """Return whether a text is an address such as ``s3://bucket/file``, not a path."""
    return "://" in text


def refuse_credentials(*places: Path | str) -> None:
    """Check that paths and addresses contain no credentials.

    Raises:
        ConfigurationError: One of them may contain some; the message does not.
    """
    for place in map(str, places):
        if holds_credentials(place):
            raise ConfigurationError(
                f"the address {hide_all_but_scheme(place)} may contain credentials; remove them, "
                "and set them in the environment"
            )


def describe_error(error: Exception) -> str:
    """Describe an error of a store in one line without secrets."""
    lines = hide_secrets(str(error)).splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"
