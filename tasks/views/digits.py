"""How many decimals a number is shown with: one rule for everything that people read.

The last decimal shown is the position of the first digit of half the width of the number's 95%
interval: a number known to within 0.03 is shown as 0.85, one known to within 0.003 as 0.848. There
are at least two decimals, because neighbors in a ranking look alike with fewer, and at most four.
A number without an interval has three.
"""

from typing import Final

_WITHOUT_INTERVAL: Final = 3
_FEWEST: Final = 2
_MOST: Final = 4


def count_decimals(low: float | None, high: float | None, border: float | None = None) -> int:
    """Return how many decimals to show of a number with this interval.

    Args:
        low: The interval's lower end; None without an interval.
        high: The interval's upper end; None without an interval.
        border: A value that readers compare the interval with, such as 1 for a ratio. Decimals are
            added (up to four) until both ends appear on the correct side of it.
    """
    if low is None or high is None:
        return _WITHOUT_INTERVAL
    place = -int(f"{(high - low) / 2:.0e}".partition("e")[2]) if high > low else _MOST
    n = min(max(place, _FEWEST), _MOST)
    if border is not None:
        while n < _MOST and any(
            end != border and round(end, n) == round(border, n) for end in (low, high)
        ):
            n += 1
    return n


def format_value(
    value: float, low: float | None = None, high: float | None = None, border: float | None = None
) -> str:
    """Format a number with the decimals that its interval allows, as ``count_decimals`` says."""
    return f"{value:.{count_decimals(low, high, border)}f}"


def format_interval(low: float | None, high: float | None, border: float | None = None) -> str:
    """Format an interval as in ``0.85 to 0.96``; return an empty string if an end is None."""
    if low is None or high is None:
        return ""
    n = count_decimals(low, high, border)
    return f"{low:.{n}f} to {high:.{n}f}"
