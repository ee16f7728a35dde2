"""The nonlinear regression problems of NIST's Statistical Reference Datasets, read from their own files.

The files (27, public domain, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml) are not part of this project. They are looked for in
the folder that the environment variable GAMMAJAX_NIST names, otherwise in ``../shared/nist`` beside the repository.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

__all__ = ["MODELS", "Problem", "digits", "exact_errors", "folder", "nearest", "read"]


def _exponentials(m: Any, x: Any, *b: Any) -> Any:
    return sum(b[k] * m.exp(-b[k + 1] * x) for k in (0, 2, 4))


def _peaks(m: Any, x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any, b6: Any, b7: Any, b8: Any) -> Any:
    peaks = b3 * m.exp(-((x - b4) ** 2) / b5**2) + b6 * m.exp(-((x - b7) ** 2) / b8**2)
    return b1 * m.exp(-b2 * x) + peaks


def _cubic(m: Any, x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any, b6: Any, b7: Any) -> Any:
    return (b1 + b2 * x + b3 * x**2 + b4 * x**3) / (1 + b5 * x + b6 * x**2 + b7 * x**3)


def _quadratic(m: Any, x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any) -> Any:
    return (b1 + b2 * x + b3 * x**2) / (1 + b4 * x + b5 * x**2)


def _waves(m: Any, x: Any, b1: Any, b2: Any, b3: Any, b4: Any, b5: Any, b6: Any, b7: Any, b8: Any, b9: Any) -> Any:
    t = 2 * m.pi * x
    year = b2 * m.cos(t / 12) + b3 * m.sin(t / 12)
    return b1 + year + b5 * m.cos(t / b4) + b6 * m.sin(t / b4) + b8 * m.cos(t / b7) + b9 * m.sin(t / b7)


def _ratio(m: Any, x: Any, b1: Any, b2: Any, b3: Any) -> Any:
    return m.exp(-b1 * x) / (b2 + b3 * x)


# as the files write them, nothing scaled or transformed; m is `jax.numpy` or `mpmath`
MODELS: dict[str, Callable[..., Any]] = {
    "Bennett5": lambda m, x, b1, b2, b3: b1 * (b2 + x) ** (-1 / b3),
    "BoxBOD": lambda m, x, b1, b2: b1 * (1 - m.exp(-b2 * x)),
    "Chwirut1": _ratio,
    "Chwirut2": _ratio,
    "DanWood": lambda m, x, b1, b2: b1 * x**b2,
    "ENSO": _waves,
    "Eckerle4": lambda m, x, b1, b2, b3: (b1 / b2) * m.exp(-(((x - b3) / b2) ** 2) / 2),
    "Gauss1": _peaks,
    "Gauss2": _peaks,
    "Gauss3": _peaks,
    "Hahn1": _cubic,
    "Kirby2": _quadratic,
    "Lanczos1": _exponentials,
    "Lanczos2": _exponentials,
    "Lanczos3": _exponentials,
    "MGH09": lambda m, x, b1, b2, b3, b4: b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4),
    "MGH10": lambda m, x, b1, b2, b3: b1 * m.exp(b2 / (x + b3)),
    "MGH17": lambda m, x, b1, b2, b3, b4, b5: b1 + b2 * m.exp(-x * b4) + b3 * m.exp(-x * b5),
    "Misra1a": lambda m, x, b1, b2: b1 * (1 - m.exp(-b2 * x)),
    "Misra1b": lambda m, x, b1, b2: b1 * (1 - (1 + b2 * x / 2) ** (-2)),
    "Misra1c": lambda m, x, b1, b2: b1 * (1 - 1 / m.sqrt(1 + 2 * b2 * x)),
    "Misra1d": lambda m, x, b1, b2: b1 * b2 * x / (1 + b2 * x),
    "Nelson": lambda m, x, b1, b2, b3: b1 - b2 * x.T[0] * m.exp(-b3 * x.T[1]),
    "Rat42": lambda m, x, b1, b2, b3: b1 / (1 + m.exp(b2 - b3 * x)),
    "Rat43": lambda m, x, b1, b2, b3, b4: b1 / ((1 + m.exp(b2 - b3 * x)) ** (1 / b4)),
    "Roszman1": lambda m, x, b1, b2, b3, b4: b1 - b2 * x - m.atan(b3 / (x - b4)) / m.pi,
    "Thurber": _cubic,
}

# groups of parameters that may change places, and parameters that may change sign together: the model stays the same function
EXCHANGE = {
    **dict.fromkeys(("Lanczos1", "Lanczos2", "Lanczos3"), ((0, 1), (2, 3), (4, 5))),
    **dict.fromkeys(("Gauss1", "Gauss2", "Gauss3"), ((2, 3, 4), (5, 6, 7))),
    "MGH17": ((1, 3), (2, 4)),
    "ENSO": ((3, 4, 5), (6, 7, 8)),
}
SIGN = {
    **dict.fromkeys(("Gauss1", "Gauss2", "Gauss3"), ((4,), (7,))),
    "ENSO": ((3, 5), (6, 8)),
    "Eckerle4": ((0, 1),),
}


@dataclass(frozen=True)
class Problem:
    """One problem: data, the two starts, and the certificate.

    Attributes
    ----------
    name : str
        NIST's name.
    x, y : array, shapes (n,) or (n, 2), and (n,)
        Data; y of Nelson is the logarithm of what the file lists.
    starts : array, shape (2, p)
        Start 1, far, and start 2, near.
    certified, sd : array, shape (p,)
        Certified parameters, and their standard deviations: Gauss-Newton, times chi2 / dof.
    rss : float
        Certified sum of squares.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    starts: np.ndarray
    certified: np.ndarray
    sd: np.ndarray
    rss: float

    @property
    def dof(self) -> int:
        """Observations minus parameters."""
        return len(self.y) - len(self.certified)

    @property
    def function(self) -> Callable[..., Any]:
        """The model, ``function(x, *b)``, in JAX."""
        return _in_jax(self.name)


@lru_cache
def _in_jax(name: str) -> Callable[..., Any]:
    # one and the same object each time: JAX compiles once
    return lambda x, *b: MODELS[name](jnp, x, *b)


def folder() -> Path | None:
    """Folder of the files; None where there is none."""
    given = os.environ.get("GAMMAJAX_NIST")
    path = Path(given) if given else Path(__file__).resolve().parents[1] / ".." / "shared" / "nist"
    return path if path.is_dir() else None


def read(name: str, where: Path) -> Problem:
    """Read one file as NIST wrote it."""
    lines = (where / f"{name}.dat").read_text().splitlines()
    rows = [
        re.findall(r"[-+]?\d[\d.]*(?:E[-+]?\d+)?", line.split("=")[1]) for line in lines if re.match(r" +b\d+ *=", line)
    ]
    start1, start2, certified, sd = np.array(rows, dtype=float).T
    (rss,) = (float(line.split(":")[1]) for line in lines if line.startswith("Residual Sum of Squares"))
    data = np.array([line.split() for line in lines[60:] if line.strip()], dtype=float)
    y, x = data[:, 0], data[:, 1:]
    return Problem(
        name, x if name == "Nelson" else x[:, 0], np.log(y) if name == "Nelson" else y, np.array([start1, start2]),
        certified, sd, rss,
    )  # fmt: skip


def _equivalents(name: str, values: np.ndarray) -> Iterator[np.ndarray]:
    """The same function with other parameters; as an index for each and a sign, so that it serves errors too."""
    groups = EXCHANGE.get(name, ())
    flips = SIGN.get(name, ())
    for order in itertools.permutations(groups):
        index = np.arange(len(values))
        for here, there in zip(groups, order, strict=True):
            index[list(here)] = there
        for signs in itertools.product((1, -1), repeat=len(flips)):
            sign = np.ones(len(values))
            for s, which in zip(signs, flips, strict=True):
                sign[list(which)] *= s
            yield np.array([index, sign])


def nearest(name: str, values: np.ndarray, certified: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order (p,) and sign (p,) with which ``sign * values[order]`` is as near to the certificate as an exact symmetry allows."""
    best = max(_equivalents(name, values), key=lambda e: np.min(_digits(e[1] * values[e[0].astype(int)], certified)))
    return best[0].astype(int), best[1]


def _digits(values: Any, reference: Any) -> np.ndarray:
    values, reference = np.asarray(values, dtype=float), np.asarray(reference, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = -np.log10(np.abs(values - reference) / np.abs(reference))
    return np.where(np.isfinite(values), np.clip(found, 0, 11), 0)


def digits(values: Any, reference: Any) -> float:
    """Correct digits of the worst of some values, between 0 and 11: the certificates have eleven."""
    return float(np.min(_digits(values, reference)))


def exact_errors(problem: Problem, covariance: np.ndarray, decimals: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations (p,) of both kinds at the certified minimum: from the exact Hessian, and Gauss-Newton.

    Eleven digits of the parameters are not enough for the exact Hessian of some problems: a Newton step in `decimals` decimals adds
    those that are missing. Derivatives are differences over 1e-16 of each parameter, which leaves 16 digits and more. Both
    deviations are times the square root of chi2 / dof.

    Parameters
    ----------
    problem : `Problem`
        With the certificate.
    covariance : array, shape (p, p)
        From the exact Hessian, in the order of the certificate; for the Newton step, so that a few digits do.
    decimals : int
        Of the arithmetic.
    """
    import mpmath

    with mpmath.workdps(decimals):
        b = [mpmath.mpf(v) for v in problem.certified]
        _, gradient, _, _ = _sums(problem, b, second=False)
        step = mpmath.matrix(covariance.tolist()) * gradient
        b = [v - step[k] for k, v in enumerate(b)]
        chi2, _, normal, curved = _sums(problem, b)
        out = []
        for matrix in (normal + curved, normal):
            inverse = mpmath.inverse(matrix)
            out.append(np.array([float(mpmath.sqrt(inverse[k, k] * chi2 / problem.dof)) for k in range(len(b))]))
    return out[0], out[1]


def _sums(problem: Problem, b: list, second: bool = True) -> tuple[Any, Any, Any, Any]:
    """Sums over the data with mpmath: squares, residuals times slopes, slopes times slopes, residuals times second derivatives."""
    import mpmath

    n = len(b)
    step = [abs(v) * mpmath.mpf(10) ** -16 for v in b]
    chi2, gradient, normal, curved = mpmath.mpf(0), mpmath.zeros(n, 1), mpmath.zeros(n), mpmath.zeros(n)
    for row, y in zip(problem.x, problem.y, strict=True):
        x = mpmath.mpf(row) if np.ndim(row) == 0 else np.array([mpmath.mpf(v) for v in row])

        def at(*moves: tuple[int, int], x: Any = x) -> Any:
            moved = list(b)
            for k, sign in moves:
                moved[k] += sign * step[k]
            return MODELS[problem.name](mpmath, x, *moved)

        residual = at() - mpmath.mpf(y)
        slope = [(at((k, 1)) - at((k, -1))) / (2 * step[k]) for k in range(n)]
        chi2 += residual**2
        for i in range(n):
            gradient[i] += residual * slope[i]
            for j in range(i + 1) if second else ():
                signs = ((1, 1), (1, -1), (-1, 1), (-1, -1))
                mixed = sum(s * t * at((i, s), (j, t)) for s, t in signs) / (4 * step[i] * step[j])
                normal[i, j] += slope[i] * slope[j]
                curved[i, j] += residual * mixed
    for i in range(n):
        for j in range(i):
            normal[j, i], curved[j, i] = normal[i, j], curved[i, j]
    return chi2, gradient, normal, curved
