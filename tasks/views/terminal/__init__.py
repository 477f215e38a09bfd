"""Results in the terminal, as tables for people or as JSON and CSV for programs."""
