"""Arrays that a form can hold: equal arrays are equal, so that equal tables share their programs."""

from typing import Any

import numpy as np

__all__ = ["FrozenArray"]


class FrozenArray:
    """An array of floats that does not change, with a hash of its content.

    Parameters
    ----------
    data : array
        The numbers; copied.
    """

    def __init__(self, data: Any) -> None:
        array = np.array(data, dtype=float)
        array.setflags(write=False)
        self.data = array
        self._hash = hash((array.shape, array.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and (self is other or np.array_equal(self.data, other.data))

    def __hash__(self) -> int:
        return self._hash
