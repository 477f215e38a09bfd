"""Compares text-to-SQL data sets by the structure of their queries."""
