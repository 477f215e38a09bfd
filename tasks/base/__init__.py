"""What every room may use; knows nothing of text-to-SQL."""
