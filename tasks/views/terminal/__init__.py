"""Results in the terminal: tables for people, JSON and CSV for programs."""
