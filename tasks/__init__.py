"""The steps of the program, as plain functions that can be called and tested alone."""
