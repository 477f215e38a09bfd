"""The published database: written, opened, read, and its history."""
