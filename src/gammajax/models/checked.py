"""A user's function with its mistakes named. All of it happens while JAX traces: evaluations afterwards cost nothing."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
import jax.numpy as jnp

from gammajax.errors import GammajaxError, ModelError

__all__ = ["called", "checked"]


def called(function: Callable[..., Any], what: str, *arguments: Any) -> Any:
    """What a user's function returns, or a `ModelError` that names it and says what to change."""
    try:
        return function(*arguments)
    except GammajaxError:
        raise
    except Exception as error:
        text = str(error).strip().split("\n")[0]
        raise ModelError(f"{what} raised {type(error).__name__}: {text}{_hint(error)}") from error


def _hint(error: Exception) -> str:
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return " It decides by a value that changes: use jnp.where(condition, a, b) instead of if, and, or, while."
    if isinstance(error, jax.errors.JAXTypeError | jax.errors.JAXIndexError):
        return " It needs a number where JAX only knows a shape: use jax.numpy instead of numpy, and no float(...) or int(...)."
    return ""


def checked(function: Callable[..., Any], what: str, rows: bool = False) -> Callable[..., jax.Array]:
    """The function, with the shape and the type of what it returns checked.

    Parameters
    ----------
    function : callable
        ``function(x, *parameters)``.
    what : str
        How messages name it.
    rows : bool
        Whether one value is expected for each row of x, shape (n,) or (n, k), instead of one for each element.
    """

    @wraps(function)
    def call(x: Any, *parameters: Any) -> jax.Array:
        values = called(function, what, x, *parameters)
        expected = jnp.shape(x)[:1] if rows else jnp.shape(x)
        try:
            values = jnp.asarray(values)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"{what} returned {type(values).__name__}, expected an array of shape {expected}."
            ) from error
        if jnp.iscomplexobj(values):
            raise ModelError(
                f"{what} returned complex numbers ({values.dtype}), expected real ones; take jnp.real or jnp.abs."
            )
        if values.shape not in ((), expected):
            raise ModelError(
                f"{what} returned shape {values.shape} for x of shape {jnp.shape(x)}, expected {expected}, one value for each."
            )
        return jnp.broadcast_to(values, expected)

    return call
