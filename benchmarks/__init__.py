"""Benchmarks: the cost of the pipeline, beside other ways to do the same work."""
