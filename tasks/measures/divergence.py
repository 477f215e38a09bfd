"""The skew divergence and the KL-alignment: the one home of the formula."""

import math
from typing import Final

SKEW: Final = 0.01
"""How much of the source is mixed into the target it is compared with."""


EPSILON: Final = 1e-8
"""What the additive divergence adds to each probability."""


SCALE: Final = math.log(1 / SKEW)
