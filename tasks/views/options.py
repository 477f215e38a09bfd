"""Options of views. This module imports nothing slow, so that the command line can."""

from enum import StrEnum


class Picture(StrEnum):
    """The pictures that can be drawn of results."""

    MATRIX = "matrix"
    RATIOS = "ratios"
    DIFFERENCES = "differences"
    SAMPLE_SIZE = "sample-size"
    BUDGET = "budget"


class ComparisonFormat(StrEnum):
    """The output formats of a comparison."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"
