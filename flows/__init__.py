"""Prefect flows, and the command line that runs them."""

import os

from nl2sql_align.flows.running.proxies import exempt_loopback

# Prefect reads its settings once, on import; this package is the one place that runs before that.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The first start of a server on a slow machine takes minutes.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
# A server that this machine starts asks for this password, so that its clients need it too.
if password := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
    os.environ.setdefault("PREFECT_API_AUTH_STRING", password)
# Prefect's server of a run is on this machine, where a proxy of an office network cannot reach it.
exempt_loopback()
