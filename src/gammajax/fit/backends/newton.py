"""Our own optimiser for a single fit: exact Newton and Gauss-Newton steps in a trust region."""

from dataclasses import dataclass

import numpy as np

from gammajax.fit.backends.base import BackendResult, Objective, check_names
from gammajax.fit.backends.trust_region import region_step

__all__ = ["OPTIONS", "expected_distance", "minimize", "moving"]

OPTIONS = {"tol": 1e-10, "max_iter": 1000}

# length of the first step of the first attempt, in expected errors
FIRST = 2.0
# how much of the largest curvature seen so far counts after one more step
MEMORY = 0.5
# an expected distance from which on the exact Hessian leads, not that of Gauss and Newton
LEAD = 1e-2
# ... at which Newton's method is on its last steps
NEAR = 1e-3
# ... and at which a step that the value does not show any more is the end
STALLED = 1e-8
# steps after which it is asked for the first time whether there is an end at all; again after twice as many
ASK = 80
ENDLESS = "the function falls for ever"


@dataclass
class _Point:
    """Where the fit stands, with the exact derivatives there."""

    x: np.ndarray
    value: float
    gradient: np.ndarray
    hessian: np.ndarray
    # of Gauss and Newton, where the function is a sum of squares
    safe: np.ndarray | None

    @property
    def plateau(self) -> bool:
        """Whether nothing is left of the function here, as where gammapy cuts off negative predictions: no way leads back."""
        return not np.any(self.gradient) and not np.any(self.hessian)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all() and np.isfinite(self.hessian).all())


@dataclass
class _Model:
    """The function near a point, in units of the expected errors and in the parameters that no limit holds."""

    free: np.ndarray
    unit: np.ndarray
    gradient: np.ndarray
    curvatures: list[np.ndarray]
    # expected distance to the minimum; infinite where the function curves downwards
    edm: float


def _look(objective: Objective, x: np.ndarray, value: float) -> _Point:
    safe = None if objective.safe_hess is None else objective.safe_hessian(x)
    return _Point(x, value, objective.gradient(x), objective.hessian(x), safe)


def moving(objective: Objective, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Positions of the parameters that no limit holds: a limit holds one whose descent leads outside."""
    held = ((x <= objective.lower) & (gradient > 0)) | ((x >= objective.upper) & (gradient < 0))
    return np.flatnonzero(~held)


def expected_distance(gradient: np.ndarray, hessian: np.ndarray) -> float:
    """Decrease that a whole Newton step promises; infinite where the Hessian is not positive definite."""
    diagonal = np.diag(hessian)
    if np.any(diagonal <= 0):
        return np.inf
    scale = 1 / np.sqrt(diagonal)
    # one by one: the product of two scales may have no number where that with the element has
    unit = hessian * scale[:, None] * scale
    if not np.isfinite(unit).all():
        return np.inf
    values, vectors = np.linalg.eigh(unit)
    if values[0] <= 1e-13 * values[-1]:
        return np.inf
    along = vectors.T @ (gradient * scale)
    return float(0.5 * np.sum(along**2 / values))


def _model(objective: Objective, point: _Point, slopes: np.ndarray) -> _Model:
    free = moving(objective, point.x, point.gradient)
    fallback = np.where(objective.step > 0, objective.step, 1.0)
    unit = np.where(slopes > 0, 1 / np.where(slopes > 0, slopes, 1.0), fallback)[free]
    both = np.ix_(free, free)
    exact = point.hessian[both] * np.outer(unit, unit)
    gradient = point.gradient[free] * unit
    edm = expected_distance(gradient, exact) if len(free) else 0.0
    curvatures = [exact]
    if point.safe is not None:
        # far away the safe one leads, at the end the exact one
        curvatures.insert(int(edm < LEAD * objective.unit(point.value)), point.safe[both] * np.outer(unit, unit))
    return _Model(free, unit, gradient, curvatures, edm)


def minimize(objective: Objective, **options: float) -> BackendResult:
    """Minimise with exact second derivatives; limits by projection with an active set.

    Each step is the best one inside a trust region, for the exact Hessian or, where the function is a sum of squares and the
    minimum is far, for that of Gauss and Newton; if it fails, for the other one. Lengths are measured in
    expected errors. If this ends nowhere, it is tried once more from the same start with a first step as long as the parameters allow.

    Parameters
    ----------
    objective : `Objective`
        Function.
    tol : float
        Stop when the expected distance to the minimum (EDM, in units of the function) is below this; default 1e-10. For a chi2
        below its degrees of freedom, in units of chi2 per degree of freedom.
    max_iter : int
        Steps tried at most, both attempts together; default 1000.
    """
    check_names(options, OPTIONS, "backend 'newton'")
    settings = {**OPTIONS, **options}
    # far from the minimum numbers may overflow: such steps are refused
    with np.errstate(all="ignore"):
        point, message, arrived = _attempts(objective, settings["tol"], int(settings["max_iter"]))
    return BackendResult(
        x=point.x,
        fun=point.value,
        success=arrived,
        message=message or f"iteration limit of {settings['max_iter']} reached",
        method="newton",
        call_limit=not message,
        options=settings,
    )


def _attempts(objective: Objective, tol: float, steps: int) -> tuple[_Point, str, bool]:
    """Where the better of one or two attempts ended, why, and whether that is a minimum."""
    x = objective.clip(np.array(objective.start, dtype=float))
    start = _look(objective, x, objective.value(x))
    point, message, arrived, used = _descend(objective, start, FIRST, tol, steps)
    if arrived or not start.finite or used >= steps:
        return point, message, arrived
    # where this attempt has no end, the other one gets no more than it had
    left = min(used, steps - used) if message == ENDLESS else steps - used
    again, text, there, _ = _descend(objective, start, None, tol, left)
    if message == ENDLESS and not there:
        return point, message, arrived
    lower = again.value <= point.value + objective.noise(point.value)
    return (again, text, there) if lower else (point, message, arrived)


def _descend(
    objective: Objective, point: _Point, radius: float | None, tol: float, steps: int
) -> tuple[_Point, str, bool, int]:
    """One attempt: where it ended, why (empty at the limit of steps), whether that is a minimum, and the steps it took."""
    slopes, used, ask = np.zeros_like(point.x), 0, ASK
    while used < steps:
        if not point.finite:
            return point, "value or derivatives are not finite", False, used
        curvature = np.diag(point.hessian if point.safe is None else point.safe)
        slopes = np.maximum(MEMORY * slopes, np.sqrt(np.abs(curvature) / 2))
        model = _model(objective, point, slopes)
        if len(model.free) == 0:
            return point, "every parameter is on a limit", True, used
        size = max(float(np.linalg.norm(point.x[model.free] / model.unit)), 1.0)
        radius = size if radius is None else radius
        noise, unit = objective.noise(point.value), objective.unit(point.value)
        if model.edm < tol * unit or (model.edm < noise and model.edm < NEAR * unit):
            return (
                _last_step(objective, point, model),
                "converged: expected distance to the minimum below tol",
                True,
                used + 1,
            )
        if used >= ask and objective.endless is not None:
            if objective.endless(point.x):
                return point, ENDLESS, False, used
            ask = 2 * used
        new, radius, used = _improve(objective, point, model, radius, size, used, steps)
        if new is None:
            break
        stalled = point.value - new.value <= noise and model.edm < STALLED * unit
        point = new
        if stalled:
            return point, "converged: no step can be seen in the value any more", True, used
    else:
        return point, "", False, used
    return point, "" if used >= steps else "no step lowers the value any more", False, used


def _last_step(objective: Objective, point: _Point, model: _Model) -> _Point:
    """One more Newton step, which costs nothing more and squares the distance that is left."""
    exact = model.curvatures[0]
    trial = point.x.copy()
    trial[model.free] -= np.linalg.solve(exact, model.gradient) * model.unit
    trial = objective.clip(trial)
    value = objective.value(trial)
    if np.isfinite(value) and value <= point.value + objective.noise(point.value):
        point.x, point.value = trial, value
    return point


def _improve(
    objective: Objective, point: _Point, model: _Model, radius: float, size: float, used: int, steps: int
) -> tuple[_Point | None, float, int]:
    """The next point, or None; the radius after it, and the steps tried so far."""
    noise = objective.noise(point.value)
    near = model.edm < NEAR * objective.unit(point.value)
    while used < steps and radius > 1e-14 * size:
        best: tuple[float, float, float, np.ndarray] | None = None
        for curvature in model.curvatures:
            step = region_step(model.gradient, curvature, radius)
            trial = point.x.copy()
            trial[model.free] += step * model.unit
            trial = objective.clip(trial)
            # what a limit leaves of the step
            kept = (trial - point.x)[model.free] / model.unit
            expected = -float(model.gradient @ kept + 0.5 * kept @ curvature @ kept)
            value = objective.value(trial)
            used += 1
            gain = point.value - value if np.isfinite(value) else -np.inf
            if best is None or gain > best[0]:
                best = gain, expected, float(np.linalg.norm(step)), trial
            if gain > 0.25 * expected > 0:
                break
        assert best is not None
        gain, expected, length, trial = best
        if gain > 0 or (near and abs(gain) <= noise):
            new = _look(objective, trial, point.value - gain)
            if new.finite and (point.plateau or not new.plateau):
                if gain > 0.75 * expected and length > 0.9 * radius:
                    radius *= 3
                elif gain < 0.25 * expected:
                    radius = 0.5 * length
                return new, radius, used
        radius = 0.25 * min(radius, length)
    return None, radius, used
