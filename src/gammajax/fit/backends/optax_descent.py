"""optax optimisers by name: first-order descent with a convergence test."""

from difflib import get_close_matches
from typing import Any

import numpy as np

from gammajax.errors import InputError
from gammajax.fit.backends.base import BackendResult, Objective, check_names
from gammajax.units import double_precision

__all__ = ["OPTIONS", "minimize"]

OPTIONS = {"method": "lbfgs", "learning_rate": None, "max_steps": 5000, "tol": 1e-8, "method_opts": None}

# sizes of the first steps, in units of the expected errors
LEARNING_RATE = 0.3


def _optimiser(name: str, learning_rate: Any, extra: dict) -> Any:
    """Build an optax optimiser; refuses a name that optax does not know."""
    import optax

    if name == "lbfgs":
        # the line search is ours: optax's own must trace the function, which a backend cannot ask for
        return optax.chain(optax.scale_by_lbfgs(**extra), optax.scale(-1.0))
    factory = getattr(optax, name, None)
    known = [n for n in dir(optax) if n.islower() and callable(getattr(optax, n)) and _takes_rate(getattr(optax, n))]
    if factory is None or name not in known:
        near = get_close_matches(name, known, n=3)
        hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
        raise InputError(
            f"backend 'optax': unknown method {name!r}, expected 'lbfgs' or an optimiser of optax such as 'adam', 'sgd'.{hint}"
        )
    try:
        return factory(learning_rate, **extra)
    except TypeError as error:
        raise InputError(f"backend 'optax', method {name!r}: {error}; change method_opts.") from None


def _takes_rate(function: Any) -> bool:
    import inspect

    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return next(iter(parameters), None) == "learning_rate"


def minimize(objective: Objective, **options: Any) -> BackendResult:
    """Minimise with an optimiser of optax, in units of the expected errors; limits by projection.

    Stops when every component of the projected gradient is below ``2 sqrt(tol)`` per expected error, so that the
    function is about `tol` above its minimum.

    Parameters
    ----------
    objective : `Objective`
        Function.
    method : str
        "lbfgs" (default; directions of optax, a backtracking line search of our own), "adam", or any other optimiser
        of optax.
    learning_rate : float, optional
        In units of the expected errors. By default it decays by a cosine from 0.3 to 0 over `max_steps`.
    max_steps : int
        Steps at most, default 5000.
    tol : float
        Default 1e-8.
    method_opts : dict, optional
        Further arguments of the optax function.
    """
    check_names(options, OPTIONS, "backend 'optax'")
    settings = {**OPTIONS, **options}
    with double_precision():
        import optax

        rate = settings["learning_rate"]
        if rate is None:
            rate = optax.cosine_decay_schedule(LEARNING_RATE, int(settings["max_steps"]))
        optimiser = _optimiser(str(settings["method"]), rate, dict(settings["method_opts"] or {}))
        search = settings["method"] == "lbfgs"
        return _descend(objective, optimiser, search, settings)


def _projected(objective: Objective, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Gradient without the components that push against a limit."""
    held = ((x <= objective.lower) & (gradient > 0)) | ((x >= objective.upper) & (gradient < 0))
    return np.where(held, 0.0, gradient)


def _descend(objective: Objective, optimiser: Any, search: bool, settings: dict) -> BackendResult:
    import jax

    unit = np.where(objective.step > 0, objective.step, 1.0)
    update = jax.jit(optimiser.update)
    x = objective.clip(np.array(objective.start, dtype=float))
    state = optimiser.init(np.array(x / unit))
    value, gradient = objective.value(x), objective.gradient(x)
    best = x, value
    goal = 2 * np.sqrt(settings["tol"])
    message, success, steps = "", False, 0
    for steps in range(int(settings["max_steps"]) + 1):
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            message = "value or gradient are not finite; use a smaller learning_rate"
            break
        if np.max(np.abs(_projected(objective, x, gradient) * unit), initial=0.0) < goal:
            message, success = "converged: projected gradient below 2 sqrt(tol) per expected error", True
            break
        if steps == settings["max_steps"]:
            break
        move, state = update(_projected(objective, x, gradient) * unit, state, x / unit)
        direction = np.asarray(move) * unit
        if search:
            new, lowered = _line_search(objective, x, value, gradient, direction)
            if lowered is None:
                # rounding, or a direction that is none: start again from steepest descent once, then stop
                state = optimiser.init(np.array(x / unit))
                new, lowered = _line_search(
                    objective, x, value, gradient, -_projected(objective, x, gradient) * unit**2
                )
                if lowered is None:
                    message = "no step lowers the value any more"
                    break
            x, value = new, lowered
        else:
            x = objective.clip(x + direction)
            value = objective.value(x)
        gradient = objective.gradient(x)
        if value < best[1]:
            best = x, value
    x, value = best if not success else (x, value)
    return BackendResult(
        x=x,
        fun=value,
        success=success,
        message=message or f"step limit of {settings['max_steps']} reached",
        method=str(settings["method"]),
        call_limit=not message,
        options=settings,
    )


def _line_search(
    objective: Objective, x: np.ndarray, value: float, gradient: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, float | None]:
    """Backtrack along the projected direction until Armijo's condition holds; None if it never does."""
    size = 1.0
    for _ in range(40):
        trial = objective.clip(x + size * direction)
        slope = float(gradient @ (trial - x))
        if slope < 0:
            new = objective.value(trial)
            if np.isfinite(new) and new <= value + 1e-4 * slope:
                return trial, new
        size *= 0.5
    return x, None
