"""Faults: broken dumps, killed runs, damaged files, and readers during runs."""
