"""NIST's nonlinear regression problems by every backend, beside scipy: ``python -m benchmarks.nist`` writes docs/nist.md."""

import argparse
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import strd

PAGE = Path(__file__).resolve().parents[1] / "docs" / "nist.md"
# solved, as the literature counts: so many digits in the worst parameter
SOLVED, WELL = 4.0, 6.0

# the same options for all problems
BACKENDS: dict[str, tuple[str, dict]] = {
    "newton": ("newton", {}),
    "minuit": ("minuit", {}),
    "scipy Nelder-Mead": ("scipy", {}),
    "scipy L-BFGS-B": ("scipy", {"method": "L-BFGS-B"}),
    "optax lbfgs": ("optax", {}),
    "sherpa simplex": ("sherpa", {}),
    "sherpa levmar": ("sherpa", {"method": "levmar"}),
}


class Run(NamedTuple):
    """Digits of the worst parameter, evaluations, and whether the program says that it succeeded."""

    digits: float
    calls: int
    success: bool

    def __str__(self) -> str:
        mark = "" if self.success else " no" if self.digits < SOLVED else " (no)"
        wrong = "**" if self.success and self.digits < SOLVED else ""
        return f"{wrong}{self.digits:.1f}{wrong}{mark} / {self.calls}"


def scored(problem: strd.Problem, values: Any, calls: int, success: bool) -> Run:
    """Compare with the certificate, up to exact symmetries of the model."""
    values = np.asarray(values, dtype=float)
    if not np.all(np.isfinite(values)):
        return Run(0.0, calls, success)
    order, sign = strd.nearest(problem.name, values, problem.certified)
    return Run(strd.digits(sign * values[order], problem.certified), calls, success)


def fitted(problem: strd.Problem, start: int, backend: str, options: dict) -> tuple[Run, Any, Any]:
    """One run of gammajax: chi2 with errors of 1, which nobody knows better."""
    from gammajax import Fit, FunctionModel, XYDataset

    parameters = {f"b{k + 1}": v for k, v in enumerate(problem.starts[start])}
    dataset = XYDataset(problem.x, problem.y, 1.0, model=FunctionModel(problem.function, parameters))
    fit = Fit(dataset, backend=backend, optimize_opts=options)
    result = fit.run()
    return scored(problem, [p.value for p in result.parameters], result.nfev, result.success), fit, result


def _counted(problem: strd.Problem) -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray], list[int]]:
    """The model and its exact Jacobian as numpy functions, and a list whose only entry counts evaluations of the model."""
    import jax

    from gammajax.units import double_precision

    count = [0]
    n = len(problem.certified)
    model = jax.jit(problem.function)
    jacobian = jax.jit(jax.jacfwd(problem.function, argnums=tuple(range(1, n + 1))))

    def value(x: Any, *b: float) -> np.ndarray:
        count[0] += 1
        with double_precision():
            return np.asarray(model(x, *map(float, b)))

    def slopes(x: Any, *b: float) -> np.ndarray:
        with double_precision():
            return np.stack(jacobian(x, *map(float, b)), axis=1)

    return value, slopes, count


def curve_fit(problem: strd.Problem, start: int) -> Run:
    """scipy.optimize.curve_fit as people call it: no derivatives, no options; MINPACK's Levenberg-Marquardt."""
    from scipy import optimize

    value, _, count = _counted(problem)
    try:
        found, _ = optimize.curve_fit(value, problem.x, problem.y, p0=problem.starts[start])
    except (RuntimeError, ValueError):
        return Run(0.0, count[0], False)
    return scored(problem, found, count[0], True)


def least_squares(problem: strd.Problem, start: int) -> Run:
    """scipy.optimize.least_squares at its best: exact Jacobian, scaled by it, tolerances at rounding, plenty of evaluations."""
    from scipy import optimize

    value, slopes, count = _counted(problem)
    try:
        out = optimize.least_squares(
            lambda b: value(problem.x, *b) - problem.y, problem.starts[start], jac=lambda b: slopes(problem.x, *b), method="lm",
            x_scale="jac", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=10_000,
        )  # fmt: skip
    except ValueError:
        return Run(0.0, count[0], False)
    return scored(problem, out.x, count[0], bool(out.success))


SCIPY = {"curve_fit": curve_fit, "least_squares": least_squares}


def errors(problem: strd.Problem) -> str:
    """Digits of the standard deviations of both kinds, and by how much they differ: a row of the second table."""
    _, fit, result = fitted(problem, 1, "newton", {})
    order, sign = strd.nearest(problem.name, np.array([p.value for p in result.parameters]), problem.certified)
    matrix = result.covariance.data[np.ix_(order, order)] * np.outer(sign, sign)
    exact, _ = strd.exact_errors(problem, matrix)
    factor = result.total_stat / result.dof
    normal = fit.gauss_newton_covariance().scaled(factor).errors[order]
    own = result.covariance.scaled(factor).errors[order]
    ratio = exact / problem.sd
    return (
        f"| {problem.name} | {strd.digits(normal, problem.sd):.1f} | {strd.digits(own, exact):.1f} | "
        f"{ratio.min():.3f} to {ratio.max():.3f} |"
    )


HEAD = """\
# NIST's nonlinear regression problems

The 27 problems of the [Statistical Reference Datasets](https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml), from both of NIST's
starts, start 1 far and start 2 near. Each is an `XYDataset` with chi2 and errors of 1, and a `FunctionModel` written as NIST writes
it: nothing is scaled, transformed or limited, and the options of a backend are the same for all problems. Written by
`python -m benchmarks.nist`; `tests/fit/test_nist.py` holds the rows of newton, and that no backend says success elsewhere.

Each cell: correct digits of the worst parameter (11 are certified), "no" where the program itself says that it failed, and evaluations
of the model. "(no)" is a failure that was declared with at least 4 digits right; **bold** is a success that was declared with fewer than 4 digits.
The backends of gammajax but newton run with their defaults; where one stops close to a minimum, Newton steps that are not counted take it to
the end. `curve_fit` is called without options, `least_squares` with exact derivatives, `method="lm"`, `x_scale="jac"` and tolerances
of 1e-15.
"""


def page(where: Path) -> str:
    """The page for the documentation."""
    columns = [*BACKENDS, *SCIPY]
    rows: dict[str, list[Run]] = {c: [] for c in columns}
    problems = [strd.read(name, where) for name in strd.MODELS]
    table = [f"| problem, start | {' | '.join(columns)} |", "|" + "---|" * (1 + len(columns))]
    for problem in problems:
        for start in (0, 1):
            runs = {c: fitted(problem, start, *BACKENDS[c])[0] for c in BACKENDS}
            runs |= {c: SCIPY[c](problem, start) for c in SCIPY}
            for c, run in runs.items():
                rows[c].append(run)
            table.append(f"| {problem.name}, {start + 1} | {' | '.join(str(runs[c]) for c in columns)} |")
            print(table[-1], flush=True)
    summary = ["| | " + " | ".join(columns) + " |", "|" + "---|" * (1 + len(columns))]
    counts = {
        f"at least {WELL:.0f} digits": lambda r: r.digits >= WELL,
        f"at least {SOLVED:.0f} digits": lambda r: r.digits >= SOLVED,
        "says success": lambda r: r.success,
        f"says success with fewer than {SOLVED:.0f} digits": lambda r: r.success and r.digits < SOLVED,
    }
    for what, test in counts.items():
        summary.append(f"| {what} | " + " | ".join(str(sum(test(r) for r in rows[c])) for c in columns) + " |")
    most = " | ".join(str(max(r.calls for r in rows[c])) for c in columns)
    summary.append(f"| most evaluations | {most} |")
    deviations = [
        "| problem | Gauss-Newton | exact Hessian | exact / Gauss-Newton |", "|---|---|---|---|",
        *(errors(p) for p in problems),
    ]  # fmt: skip
    named = ("jax", "iminuit", "scipy", "optax", "sherpa", "numpy")
    return "\n".join(
        [
            HEAD,
            "Of 54 runs:",
            "",
            *summary,
            "",
            "## All runs",
            "",
            *table,
            "",
            "## Standard deviations",
            "",
            "Correct digits of the worst standard deviation by newton from start 2, both times the square root of chi2 / dof:",
            "`fit.gauss_newton_covariance().scaled(result.total_stat / result.dof).errors` against NIST's certificate, which is of",
            "this kind, and `result.covariance.scaled(result.total_stat / result.dof).errors`, the exact Hessian, against 50-digit",
            "arithmetic. The last column says how far the two kinds are from each other. The squares of Lanczos1 add up to 1e-25, less than",
            "the rounding of its data in double precision: three digits are what its standard deviations have.",
            "",
            *deviations,
            "",
            "Versions: " + ", ".join(f"{n} {version(n)}" for n in named) + ".",
            "",
        ]
    )


def main() -> None:
    """Run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-store", action="store_true", help="do not write the page")
    options = parser.parse_args()
    where = strd.folder()
    if where is None:
        raise SystemExit("benchmarks: set GAMMAJAX_NIST to the folder of NIST's files, or put them in ../shared/nist.")
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        text = page(where)
    if not options.no_store:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
