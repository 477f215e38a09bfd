"""Which steps a run needs, and which corpora it sets aside."""
