"""How the flows run their steps: the server, task runners, retries, artifacts."""
