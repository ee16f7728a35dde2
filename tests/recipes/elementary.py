"""The polynomials of `gammajax.elementary`, from 60-digit arithmetic: ``python tests/recipes/elementary.py`` prints them."""

import mpmath as mp

DIGITS = 60


def interpolate(function, low, high, degree):
    """Coefficients, from the constant upwards, of the polynomial through the nodes of Chebyshev."""
    nodes = [
        (low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * degree + 2)) for i in range(degree + 1)
    ]
    powers = mp.matrix([[x**j for j in range(degree + 1)] for x in nodes])
    return [float(c) for c in mp.lu_solve(powers, mp.matrix([function(x) for x in nodes]))]


def exponential():
    """(e^r - 1 - r) / r^2 over half a power of two on either side of 0."""
    with mp.workdps(DIGITS):
        half = mp.log(2) / 2
        return interpolate(lambda r: (mp.exp(r) - 1 - r) / r**2, -half, half, 9)


def logarithm():
    """R(z) with ln((1 + s) / (1 - s)) = 2 s + s^3 R(s^2), up to the s of a square root of two."""
    with mp.workdps(DIGITS):

        def rest(z):
            s = mp.sqrt(z)
            return (mp.log((1 + s) / (1 - s)) - 2 * s) / s**3

        largest = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2
        return interpolate(rest, mp.mpf(0), largest, 6)


def split_logarithm():
    """ln 2 as a number of 32 bits, so that products with whole numbers are exact, and the rest."""
    with mp.workdps(DIGITS):
        high = mp.mpf(int(mp.log(2) * 2**32)) / 2**32
        return float(high), float(mp.log(2) - high)


if __name__ == "__main__":
    print("EXP", exponential(), "LOG", logarithm(), "LN2_HIGH, LN2_LOW", split_logarithm(), sep="\n")
