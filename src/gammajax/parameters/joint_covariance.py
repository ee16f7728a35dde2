"""The covariance of what is made of parts, each of which has one of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gammajax.parameters.collection import Parameters
from gammajax.parameters.covariance import Covariance

__all__ = ["JointCovariance", "joint_covariance", "keep_joint"]


@dataclass(frozen=True)
class JointCovariance:
    """A matrix that was set for all parts at once, and what each of them had at that time.

    Attributes
    ----------
    matrix : array, shape (n, n)
        The matrix.
    states : tuple of tuple of array or None
        ``covariance_state`` of each part.
    """

    matrix: np.ndarray
    states: tuple[tuple[Any, ...], ...]


def keep_joint(matrix: np.ndarray, parts: Sequence[Any]) -> JointCovariance:
    """Keep a matrix whose blocks have just been set on the parts.

    Parameters
    ----------
    matrix : array, shape (n, n)
        The matrix.
    parts : sequence
        Models or sources, in the order of the parameters.
    """
    return JointCovariance(np.array(matrix, dtype=float), tuple(p.covariance_state for p in parts))


def joint_covariance(parameters: Parameters, parts: Sequence[Any], kept: JointCovariance | None) -> Covariance:
    """Covariance of all parameters; a part that was fitted by itself since has its new one, and nothing in common with the others.

    Parameters
    ----------
    parameters : `Parameters`
        Those of all parts in order.
    parts : sequence
        Models or sources with `covariance` and `covariance_state`.
    kept : `JointCovariance`, optional
        What was set for all of them at once.
    """
    usable = kept is not None and len(kept.matrix) == len(parameters) and len(kept.states) == len(parts)
    # what parts share is one parameter with one error
    independent = Covariance.of_errors(parameters).data
    data = Covariance.of_errors(parameters, kept.matrix).data.copy() if usable and kept else independent.copy()
    at = 0
    for k, part in enumerate(parts):
        block = part.covariance.data
        where = slice(at, at + len(block))
        at += len(block)
        if usable and kept and _same(part.covariance_state, kept.states[k]):
            continue
        data[where], data[:, where] = independent[where], independent[:, where]
        data[where, where] = block
    return Covariance(parameters, data)


def _same(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return len(a) == len(b) and all(
        x is y or (x is not None and y is not None and np.array_equal(x, y, equal_nan=True))
        for x, y in zip(a, b, strict=True)
    )
