"""Names and nouns in messages: names that users mistype, and counts with their nouns."""

from collections.abc import Iterable
from difflib import get_close_matches


def find_close(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that a word is most likely meant to be, in any letter case."""
    in_lower_case = {choice.lower(): choice for choice in sorted(choices)}
    close = get_close_matches(word.lower(), in_lower_case, n=1)
    return in_lower_case[close[0]] if close else None


def suggest(word: str, choices: Iterable[str], most: int = 40) -> str:
    """Return a remedy for a word that is not among the choices: the closest one, or else all.

    Args:
        word: The word.
        choices: The valid words, in the order in which to list them.
        most: How many choices to list.
    """
    known = list(dict.fromkeys(choices))
    if not known:
        return "there are none"
    if close := find_close(word, known):
        return f"did you mean '{close}'?"
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return f"use one of {', '.join(known[:most])}{more}"


def count_noun(n: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, in the plural (by default with an s) unless the count is 1."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"
