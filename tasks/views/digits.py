"""How many decimals a number is shown with: one rule for everything that people read.

The script of the report has the same rule in JavaScript.

The last decimal shown is the position of the first digit of half the width of the number's 95%
interval: a number known to within 0.03 is shown as 0.85, one known to within 0.003 as 0.848. There
are at least two decimals, because neighbors in a ranking look alike with fewer, and at most four.
A number without an interval has three, or four if three would hide on which side of a border it is.
"""

from math import copysign
from typing import Final

_WITHOUT_INTERVAL: Final = 3
_FEWEST: Final = 2
_MOST: Final = 4


def count_decimals(
    low: float | None, high: float | None, border: float | None = None, value: float | None = None
) -> int:
    """Return how many decimals to show of a number with this interval.

    Args:
        low: The interval's lower end; None without an interval.
        high: The interval's upper end; None without an interval.
        border: A value that readers compare the interval with, such as 1 for a ratio. Decimals are
            added (up to four) until both ends appear on the correct side of it.
        value: Without an interval: the number that should appear on its side of the border.
    """
    if low is None or high is None:
        n, shown = _WITHOUT_INTERVAL, [value]
    else:
        place = -int(f"{(high - low) / 2:.0e}".partition("e")[2]) if high > low else _MOST
        n, shown = min(max(place, _FEWEST), _MOST), [low, high]
    while n < _MOST and any(_is_hidden(one, n, border) for one in shown):
        n += 1
    return n


def format_value(
    value: float, low: float | None = None, high: float | None = None, border: float | None = None
) -> str:
    """Format a number with the decimals that ``count_decimals`` returns for its interval."""
    return _format(value, count_decimals(low, high, border, value), border)


def format_interval(low: float | None, high: float | None, border: float | None = None) -> str:
    """Format an interval as in ``0.85 to 0.96``; return an empty string if an end is None."""
    if low is None or high is None:
        return ""
    n = count_decimals(low, high, border)
    return f"{_format(low, n, border)} to {_format(high, n, border)}"


def format_estimate(
    value: float, low: float | None = None, high: float | None = None, border: float | None = None
) -> str:
    """Format a number with its interval, as in ``0.90 (0.85 to 0.96)``, or alone without one."""
    interval = format_interval(low, high, border)
    number = format_value(value, low, high, border)
    return f"{number} ({interval})" if interval else number


def _is_hidden(value: float | None, n: int, border: float | None) -> bool:
    """Return whether a number looks equal to the border, although it is not."""
    if value is None or border is None or value == border:
        return False
    return round(value, n) == round(border, n)


def _format(value: float, n: int, border: float | None) -> str:
    """Format a number; if even the most decimals hide its side of the border, round away from it.

    0.99997 is shown as 0.9999: as 1.0000 it would contradict the verdict that it is below 1.
    """
    if border is not None and n == _MOST and _is_hidden(value, n, border):
        value = border + copysign(10**-n, value - border)
    return f"{value:.{n}f}"


def format_percent(share: float) -> str:
    """Format a share as a percentage with about two significant digits, such as 12% or 0.3%.

    Shares that are neither 0 nor 1 never look like it: ``under 0.1%``, ``99.6%``, ``over 99.9%``.
    """
    value = 100 * share
    if 0 < value < 0.1:
        return "under 0.1%"
    if 99.9 < value < 100:
        return "over 99.9%"
    return f"{value:.1f}%" if 0 < value < 10 or 99 < value < 100 else f"{value:.0f}%"
