"""Foundations for all rooms, without any knowledge of text-to-SQL."""
