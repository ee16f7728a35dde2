"""Our own optimiser for a single fit: Newton's method with exact Hessian in a trust region."""

import numpy as np

from gammajax.fit.backends.base import BackendResult, Objective, check_names

__all__ = ["OPTIONS", "minimize"]

OPTIONS = {"tol": 1e-10, "max_iter": 200}


def _moving(objective: Objective, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Parameters that no limit holds: a limit holds one whose descent leads outside."""
    held = ((x <= objective.lower) & (gradient > 0)) | ((x >= objective.upper) & (gradient < 0))
    return ~held


def _errors(hessian: np.ndarray, fallback: np.ndarray) -> np.ndarray:
    """Expected errors from the diagonal of the Hessian, shape (n,); `fallback` where there is no curvature."""
    diagonal = np.abs(np.diag(hessian))
    some = diagonal > 1e-300
    return np.where(some, np.sqrt(2 / np.where(some, diagonal, 1.0)), np.where(fallback > 0, fallback, 1.0))


def _eigen_step(gradient: np.ndarray, hessian: np.ndarray, radius: float) -> tuple[np.ndarray, float, bool]:
    """Step of at most `radius`, expected decrease, and whether the curvature is positive everywhere.

    In the eigenvectors of the Hessian; directions of negative or no curvature are followed to the radius, also from a
    saddle where the gradient along them is zero.
    """
    values, vectors = np.linalg.eigh(hessian)
    along = vectors.T @ gradient
    floor = 1e-12 * max(np.max(np.abs(values)), 1e-300)
    positive = bool(values[0] > floor)
    if positive:
        step = -along / values
        if np.linalg.norm(step) > radius:
            step = _on_sphere(along, values, radius)
    else:
        step = -along / np.maximum(np.abs(values), floor)
        size = np.linalg.norm(step)
        step = step * min(1.0, radius / size) if size > 0 else step
        down = values < -floor
        if np.any(down) and np.linalg.norm(along[down]) <= 1e-8 * max(np.linalg.norm(along), 1e-8):
            # a saddle: the gradient says nothing, the curvature does
            step[np.argmin(values)] = radius
    expected = -(along @ step + 0.5 * step @ (values * step))
    return vectors @ step, float(expected), positive


def _on_sphere(along: np.ndarray, values: np.ndarray, radius: float) -> np.ndarray:
    """Step of length `radius` that solves (H + shift) s = -g, by bisection in the logarithm of the shift."""
    low, high = 0.0, np.linalg.norm(along) / radius
    for _ in range(60):
        shift = 0.5 * (low + high)
        if np.linalg.norm(along / (values + shift)) > radius:
            low = shift
        else:
            high = shift
    return -along / (values + high)


def minimize(objective: Objective, **options: float) -> BackendResult:
    """Minimise with exact second derivatives; limits by projection with an active set.

    Parameters
    ----------
    objective : `Objective`
        Function.
    tol : float
        Stop when the expected distance to the minimum (EDM, in units of the function) is below this; default 1e-10.
    max_iter : int
        Steps tried at most; default 200.
    """
    check_names(options, OPTIONS, "backend 'newton'")
    settings = {**OPTIONS, **options}
    x = objective.clip(np.array(objective.start, dtype=float))
    value = objective.value(x)
    radius, message, arrived = 2.0, "", False
    iteration = 0
    while iteration < settings["max_iter"]:
        gradient, hessian = objective.gradient(x), objective.hessian(x)
        if not (np.isfinite(value) and np.all(np.isfinite(gradient)) and np.all(np.isfinite(hessian))):
            message = "value or derivatives are not finite"
            break
        free = np.flatnonzero(_moving(objective, x, gradient))
        if len(free) == 0:
            arrived, message = True, "every parameter is on a limit"
            break
        # steps are measured in the errors that the curvature promises here, so that the radius means the same for each
        # parameter, also where the start was decades off
        unit = _errors(hessian, objective.step)
        scaled_g = gradient[free] * unit[free]
        scaled_h = hessian[np.ix_(free, free)] * np.outer(unit[free], unit[free])
        while iteration < settings["max_iter"]:
            iteration += 1
            step, expected, positive = _eigen_step(scaled_g, scaled_h, radius)
            trial = x.copy()
            trial[free] += step * unit[free]
            trial = objective.clip(trial)
            new = objective.value(trial)
            gain = value - new
            if positive and expected < settings["tol"]:
                # the last step costs nothing more and squares the distance that is left
                if np.isfinite(new) and gain >= -1e-13 * max(abs(value), 1.0):
                    x, value = trial, new
                arrived = True
                break
            if np.isfinite(new) and gain > 0:
                length = float(np.linalg.norm(step))
                if gain > 0.75 * expected and length > 0.9 * radius:
                    radius *= 3
                elif gain < 0.25 * expected:
                    radius = 0.5 * length
                x, value = trial, new
                break
            if abs(gain) <= 1e-13 * max(abs(value), 1.0) and positive and expected < 1e-8:
                # rounding: no step of this size can be seen in the value any more
                arrived = True
                break
            radius = 0.25 * min(radius, float(np.linalg.norm(step)))
            if radius < 1e-14:
                message = "no step lowers the value any more"
                break
        if arrived:
            message = "converged: expected distance to the minimum below tol"
        if message:
            break
    limit = not message
    return BackendResult(
        x=x,
        fun=value,
        success=arrived,
        message=message or f"iteration limit of {settings['max_iter']} reached",
        method="newton",
        call_limit=limit,
        options=settings,
    )
