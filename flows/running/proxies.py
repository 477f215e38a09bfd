"""Proxies in the environment, through which Prefect's client would ask servers on this machine."""

import os
from collections.abc import MutableMapping
from typing import Final

from nl2sql_align.tasks.base.errors import AlignError

_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})
_EXEMPTIONS: Final = ("NO_PROXY", "no_proxy")
_LOOPBACK: Final = ("127.0.0.1", "localhost")


def exempt_loopback(environment: MutableMapping[str, str] | None = None) -> None:
    """Exempt servers on this machine from the proxies in the environment, if it names one.

    Other exemptions stay as they are. An environment without proxies is left alone: on macOS, a
    variable for exemptions would hide the proxies of the system settings.

    Args:
        environment: The variables; by default those of this process.
    """
    environment = os.environ if environment is None else environment
    if not names_proxy(environment):
        return
    # Clients that find both variables read the one in lower case only.
    for name in [name for name in _EXEMPTIONS if name in environment] or _EXEMPTIONS[:1]:
        entries = [
            entry for part in environment.get(name, "").split(",") if (entry := part.strip())
        ]
        if entries != ["*"]:
            missing = [host for host in _LOOPBACK if host not in entries]
            environment[name] = ",".join(entries + missing)


def names_proxy(environment: MutableMapping[str, str]) -> bool:
    """Return whether the environment names a proxy."""
    return any(name.lower() in _PROXIES and value for name, value in environment.items())


def check_proxies() -> None:
    """Check that Prefect's client starts with the proxies in the environment.

    Raises:
        AlignError: It does not support one of them.
    """
    if not names_proxy(os.environ):
        return
    import httpx

    try:
        httpx.Client(verify=False).close()
    except (ImportError, ValueError) as error:
        # Its address may contain a password.
        names = sorted(name for name in os.environ if name.lower() in _PROXIES)
        reason = "SOCKS needs the package socksio" if "SOCKS" in str(error) else "invalid address"
        raise AlignError(
            f"Prefect's client does not support the proxy in {', '.join(names)} ({reason}); "
            "set NO_PROXY='*' for this run"
        ) from None
