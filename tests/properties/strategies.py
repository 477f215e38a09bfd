"""Random corpora, small enough to be checked in plain Python."""

from hypothesis import strategies as st

# What the rules of section 3 tell apart, and look-alikes of it.
TOKENS = [
    *"SELECT FROM WHERE COUNT _X STRFTIME NULL REORDER BYTES BY ORDER ÉTÉ 名前 ß".split(),
    *"( ) ( ) ( ) , , * = != || - 1A % [ ]".split(),
    *("ORDER BY", "GROUP BY", "PARTITION BY"),
]

templates = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=22).map(" ".join)

# Few templates, so that corpora share some; the lists that draw from them repeat them.
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
