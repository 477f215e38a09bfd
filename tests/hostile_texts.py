"""Texts that are slow to read for a rule that looks again and again at the text after a mark.

A text repeats some fragments, such as a quote that is never closed, between the two parts of a
frame. A rule that looks from each mark to the end takes quadratic time on one of them.
"""

import random
from typing import NamedTuple

FRAGMENTS = (
    # Quotes, comments and brackets.
    *(
        "'",
        "''",
        '"',
        "`",
        "``",
        "```",
        "~~~",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "{{",
        "}}",
        "(",
        ")",
    ),
    *("/*", "*/", "/**/", "--", "#", "//", "\\", "\\n", '\\"', "\\'", "$$", "$a$", "$a{i}$", "$"),
    # Forms in which models answer.
    *(
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "<sql>",
        "</sql>",
        "<solution>",
        "<s>",
        "</s>",
    ),
    *("<|im_start|>", "<|im_end|>", "<|channel|>final<|message|>", "[INST]", "[/INST]", "[SQL]"),
    *(
        "assistantfinal",
        "Final answer: ",
        "SQL:",
        "### Response",
        "**",
        "> ",
        "- ",
        "* ",
        "1. ",
        "or",
    ),
    *(
        '"sql": "',
        "'query': '",
        '{"arguments": "',
        "\\boxed{",
        "&gt;",
        "\u201c",
        "\u2019",
        "\uff08",
    ),
    *("\u200b", "\u4e2d", "This query", "Note that", "The", "a", ".", ":", ";", ",", "?", "!", "="),
    # Words of SQL.
    *("SELECT", "WITH", "WITH a AS (", "VALUES", "VALUES (1)", "(1),", "INSERT INTO a", "UPDATE a"),
    *(
        "SET",
        "DELETE FROM",
        "CREATE TABLE a (",
        "CREATE OR REPLACE",
        "FROM",
        "AS",
        "UNION",
        "WHERE",
    ),
    *(
        "GO",
        "DECLARE @a",
        "EXPLAIN",
        "CASE WHEN",
        "END",
        "BETWEEN",
        "NOT",
        "OR",
        "AND a = 1",
        "JOIN a",
    ),
    *("a IN (1,", "CAST(a AS", "DATE(", "DATEDIFF(day, a,", "ARRAY<", "ARRAY[", "x -> ", "a::int"),
    *("RETURNING", "INTO a,", "LIMIT 1 BY", "|> SELECT a", "COLLATE", "JSON_TABLE(", "OVER ("),
    # Placeholders.
    *("{{ a }}", "{{ f(", "'{{ f('", "{% if a %}", "{% else %}", "{% endif %}", "{# a #}", "${a}"),
    *("...", "(...)", "?, ...", "##a##", "##a?b", "(@a int,", ":1", "@a", "?1"),
)
GAPS = (" ", "\n", "", "\r\n", "\n\n", "\t", ", ", "\u00a0")
FRAMES = (
    ("", ""),
    ("SELECT a FROM b WHERE ", ""),
    ("SELECT ", " FROM b"),
    ("Here is the query:\n", "\nSELECT a FROM b"),
    ("```sql\nSELECT a\n", "\n```"),
    ("SELECT a FROM b\n", ""),
    ('{"sql": "', '"}'),
    ("CREATE TABLE a (b INT);\n", ""),
    ("CREATE TABLE a (b INT)\n", ""),
    ("WITH ", ""),
    ("/*", ""),
    ("SELECT 'a", ""),
    ("<think>", "</think>SELECT a FROM b"),
    ("(", ""),
    ("INSERT INTO a VALUES (1)", ""),
    ("SELECT f(", ")"),
)


class HostileText(NamedTuple):
    """A text of any length: a frame around repeated fragments.

    Attributes:
        before: The start.
        fragments: The repeated texts. The number of the repetition replaces ``{i}``.
        after: The end.
        has_phases: Whether each fragment is repeated for itself, one after the other.
    """

    before: str
    fragments: tuple[str, ...]
    after: str
    has_phases: bool = False

    def of_length(self, n_characters: int) -> str:
        """Return the text with about this many characters."""
        units = self.fragments if self.has_phases else ("".join(self.fragments),)
        parts = [self.before]
        for unit in units:
            n_repeated = n_characters // len(units) // max(len(unit), 1)
            parts += [unit.replace("{i}", str(i)) for i in range(n_repeated)]
        return "".join([*parts, self.after])


def each_fragment() -> list[HostileText]:
    """Return a text for each fragment, with the frames and gaps in turn."""
    return [
        HostileText(before, (fragment + GAPS[n % 3],), after)
        for n, fragment in enumerate(FRAGMENTS)
        for before, after in (FRAMES[n % len(FRAMES)],)
    ]


def some_text(rng: random.Random) -> HostileText:
    """Return a text of a few fragments."""
    before, after = rng.choice(FRAMES)
    n_fragments = rng.choice((1, 2, 2, 3, 4))
    fragments = tuple(rng.choice(FRAGMENTS) + rng.choice(GAPS) for _ in range(n_fragments))
    return HostileText(before, fragments, after, has_phases=rng.random() < 0.3)
