"""Benchmarks: what the pipeline costs, beside what a user would otherwise write."""
