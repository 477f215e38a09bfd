"""How flows run their steps: server, task runners, retries, artifacts."""
