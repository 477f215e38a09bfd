"""Random corpora, small enough to check in plain Python."""

from hypothesis import strategies as st

# Tokens that the rules of section 3 tell apart, and others that look like them.
TOKENS = [
    *"SELECT FROM WHERE COUNT _X STRFTIME NULL REORDER BYTES BY ORDER ÉTÉ 名前 ß".split(),
    *"( ) ( ) ( ) , , * = != || - 1A % [ ]".split(),
    *("ORDER BY", "GROUP BY", "PARTITION BY"),
]

templates = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=22).map(" ".join)

# Few templates, so that corpora share some, and lists repeat some.
_FEW = (
    "SELECT FROM",
    "SELECT COUNT ( * ) FROM",
    "SELECT FROM WHERE =",
    "SELECT FROM WHERE = AND =",
    "SELECT , FROM ORDER BY LIMIT",
    "SELECT FROM WHERE IN ( SELECT FROM )",
    "SELECT FROM GROUP BY ORDER BY COUNT ( * ) DESC LIMIT",
    "DELETE FROM",
)
some_templates = st.lists(st.one_of(st.sampled_from(_FEW), templates), min_size=1, max_size=12)
