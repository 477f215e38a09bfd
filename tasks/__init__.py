"""The steps of the program: plain functions that can be called and tested on their own."""
