"""Files and addresses; knows no SQL and no corpus."""
