"""Results for people: terminal, report, charts, notebook, explanations. No module writes tables."""
