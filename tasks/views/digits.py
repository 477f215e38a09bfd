"""How many digits a number is shown with: one rule, wherever people read numbers.

The last digit shown stands where the first digit of the half width of the number's 95 % interval
does: what is known to 0.03 is shown as 0.85, what is known to 0.003 as 0.848. There are at least
two decimals, without which neighbours in a ranking look alike, and at most four. A number without
an interval has three.
"""

from typing import Final

_WITHOUT_INTERVAL: Final = 3
_FEWEST: Final = 2
_MOST: Final = 4


def decimals(low: float | None, high: float | None, border: float | None = None) -> int:
    """How many decimals the interval of a number allows.

    Args:
        low: The interval's lower end; None where there is no interval.
        high: Its upper end.
        border: What the interval is held against, such as 1 for a ratio: there are as many
            decimals as it takes to show both ends on the side of it on which they lie.
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


def shown(
    value: float, low: float | None = None, high: float | None = None, border: float | None = None
) -> str:
    """A number with the digits that its interval allows."""
    return f"{value:.{decimals(low, high, border)}f}"


def ends(low: float | None, high: float | None, border: float | None = None) -> str:
    """An interval in words, as in ``0.85 to 0.96``; empty where there is none."""
    if low is None or high is None:
        return ""
    n = decimals(low, high, border)
    return f"{low:.{n}f} to {high:.{n}f}"
