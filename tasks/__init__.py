"""The steps of the program, as plain functions that can be called and tested alone."""

import os

# Polars asks for its threads once, when it is loaded.
_threads = os.environ.get("NL2SQL_ALIGN_THREADS", "")
if _threads.isdecimal() and int(_threads) > 0:
    os.environ.setdefault("POLARS_MAX_THREADS", _threads)
