"""Options of results. This module imports nothing slow, so that the command line can."""

from enum import StrEnum
from typing import Final

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.base.names import suggest

DRIFT_THRESHOLD: Final = 0.02
"""How far an alignment may move before the move is called a drift."""


class Metric(StrEnum):
    """The measures of a pair of corpora, by their columns in table ``alignment``."""

    KL_ALIGNMENT = "kl_alignment"
    KL_NATS = "kl_nats"
    REVERSE_KL_NATS = "reverse_kl_nats"
    ADDITIVE_KL_NATS = "additive_kl_nats"
    ADDITIVE_KL_ALIGNMENT = "additive_kl_alignment"
    JS_NATS = "js_nats"
    JS_ALIGNMENT = "js_alignment"
    NGRAM_COVERAGE = "ngram_coverage"
    TEMPLATE_COVERAGE = "template_coverage"
    EXACT_OVERLAP = "exact_overlap"


def find_metric(name: str) -> Metric:
    """Return the metric with a name.

    Raises:
        ConfigurationError: The metric does not exist.
    """
    try:
        return Metric(name)
    except ValueError:
        raise ConfigurationError(f"no measure '{name}'; {suggest(name, Metric)}") from None
