"""Types of NumPy arrays."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    pass


Floats = npt.NDArray[np.float64]


Integers = npt.NDArray[np.int64]


Keys = npt.NDArray[np.uint64]
