"""Runs of the flows, on Prefect's test harness."""
