"""exp and ln that LLVM turns into vector code inside numba's loops; without Intel's library numba calls libm, number by number.

The polynomials are those of `gammajax.elementary`.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from gammajax.elementary import EXP, LN2_HIGH, LN2_LOW, LOG, ROOT_HALF, ROUND

__all__ = ["exp", "from_address", "log"]

PER_LN2 = 1 / (LN2_HIGH + LN2_LOW)


@intrinsic
def _bits(context: Any, x: Any) -> tuple:
    return types.int64(types.float64), lambda _, builder, __, a: builder.bitcast(a[0], ir.IntType(64))


@intrinsic
def _number(context: Any, x: Any) -> tuple:
    return types.float64(types.int64), lambda _, builder, __, a: builder.bitcast(a[0], ir.DoubleType())


@intrinsic
def from_address(context: Any, address: Any) -> tuple:
    """Pointer to doubles at an address."""
    pointer = types.CPointer(types.float64)
    return pointer(types.int64), lambda c, builder, _, a: builder.inttoptr(a[0], c.get_value_type(pointer))


@njit(inline="always", fastmath={"contract"}, error_model="numpy")
def exp(x):  # type: ignore[no-untyped-def]
    """Exponential; beyond 708 on either side the value there."""
    x = -708.0 if x < -708.0 else x
    x = 708.0 if x > 708.0 else x
    shifted = x * PER_LN2 + ROUND
    whole = shifted - ROUND
    r = (x - whole * LN2_HIGH) - whole * LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    high = (EXP[9] * r + EXP[8]) * r4 + ((EXP[7] * r + EXP[6]) * r2 + (EXP[5] * r + EXP[4]))
    series = high * r4 + ((EXP[3] * r + EXP[2]) * r2 + (EXP[1] * r + EXP[0]))
    return (1.0 + (r + r2 * series)) * _number((_bits(shifted) + 1023) << 52)


@njit(inline="always", fastmath={"contract"}, error_model="numpy")
def log(x):  # type: ignore[no-untyped-def]
    """Logarithm of a normal number above 0."""
    bits = _bits(x)
    k = (bits - ROOT_HALF) >> 52
    f = _number(bits - (k << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    series = (LOG[6] * z2 + (LOG[5] * z + LOG[4])) * (z2 * z2) + ((LOG[3] * z + LOG[2]) * z2 + (LOG[1] * z + LOG[0]))
    h = 0.5 * f * f
    return k * LN2_HIGH + (f - (h - (s * (h + z * series) + k * LN2_LOW)))
