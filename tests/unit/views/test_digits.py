"""Numbers are shown with the decimals that their intervals allow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nl2sql_align.tasks.views.digits import (
    count_decimals,
    format_estimate,
    format_interval,
    format_percent,
    format_value,
)


@pytest.mark.parametrize(
    ("low", "high", "n"),
    [
        (0.82, 0.88, 2),  # 0.03
        (0.845, 0.851, 3),  # 0.003
        (0.8476, 0.8482, 4),  # 0.0003
        (0.83, 0.8492, 2),  # 0.0096, which is 0.01 to its first digit
        (0.84, 0.857, 3),  # 0.0085
        (1.1, 1.5, 2),  # 0.2, but never fewer than two decimals
        (0.847801, 0.847804, 4),  # never more than four
        (1.0, 1.0, 4),
        (None, None, 3),
        (None, 1.0, 3),
    ],
)
def test_the_last_decimal_is_that_of_the_first_digit_of_the_half_width(low, high, n):
    assert count_decimals(low, high) == n


def test_both_ends_appear_on_their_side_of_the_border():
    assert format_interval(1.003, 1.2) == "1.00 to 1.20"
    assert format_interval(1.003, 1.2, 1.0) == "1.003 to 1.200"
    assert format_value(1.1, 1.003, 1.2, 1.0) == "1.100"
    assert format_interval(0.8, 0.9996, 1.0) == "0.8000 to 0.9996"
    assert format_interval(0.8, 1.0, 1.0) == "0.80 to 1.00"
    assert format_interval(None, 1.0) == ""
    # Closer to the border than the most decimals show
    assert format_interval(0.8217, 0.99997, 1.0) == "0.8217 to 0.9999"
    assert format_interval(1.00001, 1.3, 1.0) == "1.0001 to 1.3000"
    assert format_value(1.00001, 1.0, 1.00002, 1.0) == "1.0001"
    # Without an interval
    assert format_value(0.9998, border=1.0) == "0.9998"
    assert format_value(1.00004, border=1.0) == "1.0001"
    assert format_value(1.0, border=1.0) == "1.000"
    # Inside an interval that contains the border, neither side would be right.
    assert format_value(1.0002, 0.95, 1.06, 1.0) == "1.00"


@given(st.floats(0.37, 2.7), st.floats(1e-9, 1.0))
def test_the_formatted_value_is_within_the_interval(value, half):
    low, high = value - half, value + half
    text = format_value(value, low, high)
    assert abs(float(text) - value) <= max(half, 0.5e-4)
    assert 2 <= len(text.partition(".")[2]) <= 4


def test_an_estimate_is_a_number_with_its_interval():
    assert format_estimate(0.9997, 0.93, 0.99997, 1.0) == "0.9997 (0.9300 to 0.9999)"
    assert format_estimate(0.9) == "0.900"


def test_percentages_keep_their_significant_digits():
    texts = {
        0: "0%",
        0.0001: "under 0.1%",
        0.003: "0.3%",
        0.0649: "6.5%",
        0.12: "12%",
        0.9949: "99.5%",
        0.9996: "over 99.9%",
        1: "100%",
    }
    assert {share: format_percent(share) for share in texts} == texts
