"""A source that varies with the phase of a pulsar, as a table of phases and norms says."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gammajax.errors import InputError
from gammajax.models.declared import Declared
from gammajax.models.table import FrozenArray
from gammajax.models.temporal.base import TemporalModel
from gammajax.models.temporal.form import TemporalForm
from gammajax.models.temporal.table_files import check_table, column_of, read_table, write_table
from gammajax.models.temporal.tables import phase_integral, phase_pieces, phase_value
from gammajax.units import to_unit

__all__ = ["TemplatePhaseCurveTemporalModel"]

# a frequency that changes by more in one turn is no pulsar, and its mean over many turns is not known to 1e-9
MOST_DRIFT = 1e-5


@dataclass(frozen=True)
class _PhaseCurve:
    """Functions of one table of phases and norms."""

    phase: FrozenArray
    norm: FrozenArray

    @cached_property
    def parts(self) -> Any:
        return phase_pieces(self.phase.data, self.norm.data)

    def evaluate(self, t: jax.Array, *parameters: jax.Array) -> jax.Array:
        mean, pieces = self.parts
        return phase_value(mean, pieces, t, *parameters)

    def integral(self, start: jax.Array, width: jax.Array, *parameters: jax.Array) -> jax.Array:
        mean, pieces = self.parts
        return phase_integral(mean, pieces, start, width, *parameters)


@lru_cache(maxsize=64)
def _phase_curve_form(curve: _PhaseCurve) -> TemporalForm:
    names = ("t_ref", "phi_ref", "f0", "f1", "f2")
    return TemporalForm(curve.evaluate, curve.integral, names, reference=0, constants=names)


class TemplatePhaseCurveTemporalModel(TemporalModel):
    r"""Curve that repeats with the phase :math:`\phi = \phi_{ref} + f_0 t + f_1 t^2/2 + f_2 t^3/6`, with t since `t_ref`.

    The table gives straight lines between phases of 0 and 1. The integral counts every turn and is exact for the drift of the
    frequency in any pulsar; a frequency that changes by more than 1e-5 in one turn is refused. In a parameter of the
    timing the derivatives of the mean jump where an end of an interval is on a phase of the table.

    Parameters
    ----------
    phase : array, shape (n,)
        Phases from 0 to 1, increasing.
    norm : array, shape (n,)
        Factors on the spectrum.
    normalize : bool
        Divide the factors by their mean over a turn.
    filename : str or path, optional
        File of the table: what a model file names.
    scale : {"utc", "tt", ...}
        Time scale.
    t_ref : `~astropy.units.Quantity`
        Reference time, MJD, default 48442.5 d; as all of them frozen.
    phi_ref : float
        Phase then, default 0.
    f0, f1, f2 : `~astropy.units.Quantity`
        Frequency then and its derivatives, defaults 29.946923 s-1, 0 s-2, 0 s-3.
    """

    tag = ("TemplatePhaseCurveTemporalModel", "template-phase")
    declared = (
        Declared("t_ref", 48442.5, "d", frozen=True),
        Declared("phi_ref", 0.0, frozen=True),
        Declared("f0", 29.946923, "s-1", frozen=True),
        Declared("f1", 0.0, "s-2", frozen=True),
        Declared("f2", 0.0, "s-3", frozen=True),
    )

    def __init__(
        self, phase: Any, norm: Any, normalize: bool = True, filename: Any = None, scale: str = "utc", **kwargs: Any
    ) -> None:
        where = "TemplatePhaseCurveTemporalModel"
        if not isinstance(normalize, bool):
            raise InputError(f"{where}: normalize got {normalize!r}, expected True or False.")
        x, y = (np.atleast_1d(to_unit(a, "", f"{where}: {n}")) for a, n in ((phase, "phase"), (norm, "norm")))
        check_table(x, y, where, "phases")
        if x[0] < 0 or x[-1] > 1:
            raise InputError(f"{where}: the phases go from {x[0]:g} to {x[-1]:g}, expected 0 to 1.")
        mean = phase_pieces(x, y)[0]
        if normalize and not mean > 0:
            raise InputError(f"{where}: the mean of the norms is {mean:g}, expected one above 0 to normalise with.")
        self.normalize, self.phase, self.norm = normalize, x, y
        self._curve = _PhaseCurve(FrozenArray(x), FrozenArray(y / mean if normalize else y))
        self.filename = None if filename is None else Path(filename)
        super().__init__(scale=scale, **kwargs)

    @property
    def form(self) -> TemporalForm:
        """Functions, equal for equal tables."""
        return _phase_curve_form(self._curve)

    def check_times(self, times: np.ndarray) -> None:
        """Refuse a frequency that changes too fast for the integral to be right.

        Parameters
        ----------
        times : array, shape (4, n)
            Begin and end of each interval, days and parts of days, as `GTI.mjd` has them.
        """
        t_ref, _, f0, f1, f2 = self._theta()
        s = ((times[::2] - t_ref) + times[1::2]) * 86400
        nu, rate = f0 + s * (f1 + s / 2 * f2), f1 + s * f2
        with np.errstate(divide="ignore", invalid="ignore"):
            drift = np.max(np.abs(rate / nu**2) + np.sqrt(np.abs(f2 / nu**3)))
        if not drift < MOST_DRIFT:
            raise InputError(
                f"TemplatePhaseCurveTemporalModel: the frequency changes by {drift:.2g} of itself in one turn, expected less than "
                f"{MOST_DRIFT:g}; check f0, f1 and f2, or give the curve in time as a LightCurveTemplateTemporalModel."
            )

    @classmethod
    def from_table(cls, table: Any, normalize: bool = True, filename: Any = None, **kwargs: Any) -> Any:
        """From an astropy table of PHASE and NORM.

        Parameters
        ----------
        table : `~astropy.table.Table`
            The table.
        normalize : bool
            Whether the norms are divided by their mean over a turn.
        filename : str or path, optional
            The file that a model file is to name.
        **kwargs
            The parameters.
        """
        where = "phase curve" if filename is None else Path(filename).name
        phase, norm = (column_of(table, c, where, "") for c in ("PHASE", "NORM"))
        return cls(phase, norm, normalize, filename, **kwargs)

    @classmethod
    def read(cls, path: Any, normalize: bool = True, **kwargs: Any) -> "TemplatePhaseCurveTemporalModel":
        """Read a table of PHASE and NORM, FITS or ECSV.

        Parameters
        ----------
        path : str or path
            The file.
        normalize : bool
            Whether the norms are divided by their mean over a turn.
        **kwargs
            The parameters, which are not in the table.
        """
        return cls.from_table(read_table(path, "phase curve"), normalize, path, **kwargs)

    def write(self, path: Any = None, overwrite: bool = False) -> None:
        """Write the table, which becomes the file that a model file names.

        Parameters
        ----------
        path : str or path, optional
            The file; that which it was read from if not given.
        overwrite : bool
            Whether to replace what is there.
        """
        from astropy.table import Table

        table = Table({"PHASE": self.phase, "NORM": self.norm})
        self.filename = write_table(table, self.filename if path is None else path, overwrite)
