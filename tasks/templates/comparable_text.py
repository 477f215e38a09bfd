"""Texts that are equal if two queries count as the same, for ``exact_overlap``.

Comments and the closing semicolon are removed, white space outside literals is one space, and
letters outside quotes are lower case.
"""

import re
from typing import Final

from sqlglot.tokenizer_core import Token, TokenType

from nl2sql_align.tasks.templates.dialect_rules import STRING_TOKENS

_QUOTED: Final = re.compile("""('[^']*'|"[^"]*"|`[^`]*`)""")
_QUOTE: Final = re.compile("['\"`[$]")
_IS_QUOTED: Final = [False] * (max(TokenType) + 1)
for _name in ("IDENTIFIER", "BIT_STRING", "HEX_STRING", "BYTE_STRING", *STRING_TOKENS.split()):
    _IS_QUOTED[TokenType[_name]] = True


def comparable_text(sql: str, tokens: list[Token]) -> str:
    """Return the comparable text of a query.

    Args:
        sql: The query's text.
        tokens: Its tokens, without closing semicolons.
    """
    done, end = tokens[0].start, tokens[-1].end + 1
    if is_plain(sql):
        return plain_comparable_text(sql[done:end])
    comments = has_comments(sql)
    parts: list[str] = []
    for token in tokens:
        is_quoted = _IS_QUOTED[token.token_type]
        if comments and token.token_type != TokenType.HINT:
            parts.append(" " if token.start > done else "")
        elif is_quoted:
            parts.append(_fold(sql[done : token.start]))
        else:
            continue
        done = token.end + 1
        text = sql[token.start : done]
        quote = _QUOTE.search(text) if is_quoted else None
        start = quote.start() if quote else len(text)
        parts.append(_fold(text[:start]) + text[start:])
    if not comments:
        parts.append(_fold(sql[done:end]))
    return "".join(parts).strip()


def plain_comparable_text(text: str) -> str:
    """Return the comparable text of a plain text, which needs no tokens.

    Args:
        text: A text that ``is_plain``, from its first token to its last.
    """
    if "'" not in text and '"' not in text and "`" not in text:
        return _fold(text)
    pieces = _QUOTED.split(text)
    pieces[::2] = [_fold(piece) for piece in pieces[::2]]
    return "".join(pieces)


def is_plain(text: str) -> bool:
    """Return whether its quoted parts can be found without a tokenizer."""
    return not has_comments(text) and not _has_unusual_quotes(text)


def has_comments(text: str) -> bool:
    """Return whether comments may start in it, in any dialect."""
    return "--" in text or "/*" in text or "#" in text or "//" in text


def _has_unusual_quotes(text: str) -> bool:
    """Return whether ``_QUOTED`` may be wrong about where a quoted part begins or ends."""
    return "\\" in text or "[" in text or "$" in text or "'''" in text or '"""' in text


def _fold(text: str) -> str:
    # The dots keep white space at either end, as one space.
    return " ".join(f".{text}.".split())[1:-1].lower()
