r"""Statistics of published flux points, one value per point on the -2 ln L scale.

Both follow gammapy. `distrib` takes asymmetric errors, and upper limits as in eq. C7 of Mohanty et al. 2013, ApJ 773, 168;
`likelihood_profile` takes the statistic of the points themselves, as it was scanned.
"""

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["distrib", "distrib_derivatives", "likelihood_profile", "likelihood_profile_derivatives"]

ERFC_1 = 0.15729920705028513


def _log_erfc(x: jax.Array) -> jax.Array:
    """Ln erfc(x), without underflow."""
    return np.log(2) + jax.scipy.special.log_ndtr(-np.sqrt(2) * x)


def distrib_derivatives(
    value: jax.Array, below: jax.Array, above: jax.Array, limit: jax.Array, mu: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    r"""`distrib` and its first and second derivative in the prediction.

    The second derivative jumps where the prediction is the point, from that of the lower to that of the upper error; there it is that of the
    upper one. For limits it is never positive.

    Parameters
    ----------
    value, below, above, limit, mu : array, shape (n,)
        As in `distrib`.

    Returns
    -------
    tuple of array, shape (n,)
        Statistic, and its derivatives in mu.
    """
    weight = jnp.where(mu >= value, above, below)
    pull = (mu - value) * weight
    some = limit > 0
    scale = jnp.where(some, limit, 1.0)
    x = 1 - jnp.where(some, mu, 0.0) / scale
    log = _log_erfc(x)
    # minus the slope of ln erfc
    h = (2 / np.sqrt(np.pi)) * jnp.exp(-x * x - log)
    return (
        jnp.where(some, 2 * (log - np.log(ERFC_1)), pull * pull),
        jnp.where(some, 2 * h / scale, 2 * pull * weight),
        jnp.where(some, -2 * h * (h - 2 * x) / (scale * scale), 2 * weight * weight),
    )


def distrib(value: jax.Array, below: jax.Array, above: jax.Array, limit: jax.Array, mu: jax.Array) -> jax.Array:
    r"""Points with asymmetric errors, and upper limits.

    :math:`((\mu - \phi)/\sigma_\pm)^2` with the upper error where :math:`\mu \ge \phi`, otherwise the lower one. Upper limits l:
    :math:`2 \ln(\mathrm{erfc}(1 - \mu/l)/\mathrm{erfc}(1))`, which is 0 at :math:`\mu = 0` and never above 5.09.

    Parameters
    ----------
    value : array, shape (n,)
        Fluxes.
    below, above : array, shape (n,)
        1/error below and above the point.
    limit : array, shape (n,)
        Upper limits; 0 for points.
    mu : array, shape (n,)
        Predictions.

    Returns
    -------
    array, shape (n,)
        Statistic.
    """
    return distrib_derivatives(value, below, above, limit, mu)[0]


def likelihood_profile_derivatives(
    value: jax.Array, reference: jax.Array, edges: jax.Array, left: jax.Array, c2: jax.Array, c1: jax.Array,
    c0: jax.Array, mu: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:  # fmt: skip
    """`likelihood_profile` and its first and second derivative in the prediction; the second one jumps from piece to piece.

    Parameters
    ----------
    value, reference, edges, left, c2, c1, c0, mu : array
        As in `likelihood_profile`.

    Returns
    -------
    tuple of array, shape (n,)
        Statistic, and its derivatives in mu.
    """
    x = mu / reference
    k = jnp.sum(x[..., None] >= edges, axis=-1)[..., None]
    begin, a, b, c = (jnp.take_along_axis(v, k, axis=-1)[..., 0] for v in (left, c2, c1, c0))
    d = x - begin
    return c + d * (b + d * a), (b + 2 * a * d) / reference, 2 * a / (reference * reference)


def likelihood_profile(
    value: jax.Array, reference: jax.Array, edges: jax.Array, left: jax.Array, c2: jax.Array, c1: jax.Array,
    c0: jax.Array, mu: jax.Array,
) -> jax.Array:  # fmt: skip
    r"""The scanned statistic of each point, a quadratic spline in :math:`x = \mu / \phi_{ref}` that goes on beyond its ends.

    Parameters
    ----------
    value : array, shape (n,)
        Fluxes; they take no part.
    reference : array, shape (n,)
        Fluxes of strength 1.
    edges : array, shape (n, k - 1)
        Where the k pieces of the spline meet.
    left, c2, c1, c0 : array, shape (n, k)
        Where each piece begins, and its coefficients from there: :math:`c_2 d^2 + c_1 d + c_0`.
    mu : array, shape (n,)
        Predictions.

    Returns
    -------
    array, shape (n,)
        Statistic.
    """
    return likelihood_profile_derivatives(value, reference, edges, left, c2, c1, c0, mu)[0]
