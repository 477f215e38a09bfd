"""Options of decisions. This module imports nothing slow, so that the command line can use it."""

from enum import StrEnum
from typing import Final

LEAST_WEIGHT: Final = 0.0005
"""The least share of rows that is worth mixing in; it is shown as more than 0."""

HEADROOM_SPLITS: Final = 20
"""How often the target's databases are split in halves; each half judges the other's weight."""

CALIBRATION_REPLICATES: Final = 1000
"""The number of bootstrap replicates for the interval of a cut."""

SAMPLE_TRIALS: Final = 200
"""The number of samples of each size."""

MIXTURE_REPLICATES: Final = 200
"""The number of resamples of the target for the intervals of a mixture."""

GAPS_BUDGET: Final = 200
"""The largest number of rows to add to a training set."""


class Method(StrEnum):
    """How rows are chosen; see ``docs/selection.md``."""

    DIRECT = "direct"
    """Minimize the divergence itself."""

    GREEDY = "greedy"
    """Cynical selection (arXiv 1709.02279): lower the target's cross-entropy row by row."""

    IMPORTANCE = "importance"
    """Importance resampling (DSIR, arXiv 2302.03169)."""

    RANDOM = "random"
    """A random sample, to compare with."""


class Overlap(StrEnum):
    """Which rows are excluded because the target has them too."""

    EXACT = "exact"
    """Rows with the text of one of its queries."""

    NEAR = "near"
    """Also rows with the template and the literals of one of its queries."""

    STRICT = "strict"
    """Also rows whose only literals are short numbers or placeholders such as var0."""

    NONE = "none"
    """No rows."""


class TrainingLayout(StrEnum):
    """The layouts of rows that trainers load."""

    MESSAGES = "messages"
    """Chats in the form of OpenAI: TRL, axolotl, LLaMA-Factory."""

    PROMPT_COMPLETION = "prompt-completion"
    """A prompt and its completion: TRL."""

    ALPACA = "alpaca"
    """Instruction, input and output: LLaMA-Factory."""

    SHAREGPT = "sharegpt"
    """Turns of a human and a model: LLaMA-Factory, axolotl."""

    VERL = "verl"
    """Prompts with a query to compare with, as Parquet: verl."""
