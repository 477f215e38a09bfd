"""Prefect flows, and the command line in front of them."""

import os

# Set before Prefect is imported anywhere: nothing is reported to anyone, and a slow machine's first
# server start is waited for.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "300")
