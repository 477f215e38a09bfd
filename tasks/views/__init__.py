"""Results for people: terminal, report, charts, notebook, explanations. Writes no table."""
