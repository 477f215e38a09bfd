"""Credentials in addresses and in the environment: found, and hidden in texts for people."""

import os
import re
from typing import Final
from urllib.parse import quote, unquote

HIDDEN: Final = "***"

_SECRET_NAMES: Final = re.compile(
    r"KEY|SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|SAS|CONNECTION|AUTH_STRING", re.I
)
_SHORTEST_SECRET: Final = 8

# One slash, because paths fold two into one. A letter before a colon is a drive, not a scheme.
_SCHEME: Final = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]++):/+")
_AUTHORITY: Final = re.compile(r"[^/?#]*")
_AZURE: Final = frozenset({"abfs", "abfss", "az", "wasb", "wasbs"})
_CONTAINER_AND_ACCOUNT: Final = re.compile(r"[a-z0-9$-]+@[a-z0-9-]+(\.[a-z0-9-]+)+")
# In addresses of other schemes, ? may be a pattern, and # and = a part of a name.
_PARAMETER: Final = re.compile(r"[?&;#]([^/?&;#=*\[\]]*)=")
_VERSIONS: Final = frozenset({"versionid", "generation"})
_KNOWN_TOKENS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"hf_[A-Za-z0-9]{20}|gh[oprsu]_[A-Za-z0-9]{20}|github_pat_\w{20}|glpat-[\w-]{20}"
    r"|A[KS]IA[A-Z0-9]{16}|eyJ[\w-]{10,200}\.eyJ)[\w.-]*"
)
_ADDRESS_IN_TEXT: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]++:/+)[^\s'\"<>`|]+"
)


def holds_credentials(address: str) -> bool:
    """Return whether an address may contain credentials, in any part of a chain of addresses.

    Credentials are a user, a password, a signature, a parameter other than a version, or a token in
    the form of a known service. Paths without a scheme do not contain any.
    """
    text = _decode(address)
    pieces = _SCHEME.split(text)
    before, schemes, rests = pieces[0], pieces[1::2], pieces[2::2]
    if not schemes:
        return False
    return (
        "@" in before
        or _KNOWN_TOKENS.search(text) is not None
        or any(map(_part_holds_credentials, schemes, rests))
    )


def hide_secrets(text: str) -> str:
    """Replace credentials with ``***``.

    Credentials are values of environment variables whose names say so, tokens in the form of a
    known service, and the part behind the scheme of each address that may contain credentials.
    """
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAMES.search(name):
            text = text.replace(value, HIDDEN).replace(quote(value, safe=""), HIDDEN)
    text = _ADDRESS_IN_TEXT.sub(
        lambda match: f"{match[1]}{HIDDEN}" if holds_credentials(match[0]) else match[0], text
    )
    return _KNOWN_TOKENS.sub(HIDDEN, text)


def hide_all_but_scheme(address: str) -> str:
    """Return the scheme of an address, with ``***`` for the rest."""
    match = _SCHEME.search(_decode(address))
    return f"{match[1]}://{HIDDEN}" if match else HIDDEN


def _decode(address: str) -> str:
    """Decode percent signs, also those that were encoded several times."""
    for _ in range(3):
        decoded = unquote(address)
        if decoded == address:
            break
        address = decoded
    return address


def _part_holds_credentials(scheme: str, rest: str) -> bool:
    scheme = scheme.lower()
    match = _AUTHORITY.match(rest)
    authority = match[0] if match else ""
    if "@" in authority:
        if scheme not in _AZURE or not _CONTAINER_AND_ACCOUNT.fullmatch(authority):
            return True
    elif ":" in authority and "@" in rest:
        return True  # perhaps a password with a slash
    if scheme in ("http", "https"):
        return re.search(r"[?#].", rest) is not None
    return any(name.lower() not in _VERSIONS for name in _PARAMETER.findall(rest))
