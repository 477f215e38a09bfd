"""The steps of the program, as plain functions that can be called and tested alone."""

import os

# Polars asks for its threads once, when it is loaded.
_threads = os.environ.get("NL2SQL_ALIGN_THREADS", "")
if _threads.isdecimal() and int(_threads) > 0:
    os.environ.setdefault("POLARS_MAX_THREADS", _threads)

# Read once as well, by NumPy and Arrow. Threads of linear algebra wait by spinning, a twentieth of
# what a short run takes, and sums would depend on how many there are. Arrow's own allocator has
# each thread fill pages of 2 MB with zeros, for columns of some kilobytes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
