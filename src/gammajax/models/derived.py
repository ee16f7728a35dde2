"""What follows from the form of a model, with units: values, integrals, indices, and their errors by exact propagation."""

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from gammajax.errors import ModelError
from gammajax.models.quantities import band, index_band, indices, integral_band, integrate_range, pivot_error, values
from gammajax.models.shape import pivot, roots
from gammajax.units import energy_values, parsed, to_unit

__all__ = ["DerivedQuantities"]


class DerivedQuantities:
    r"""Methods of every spectral model; all errors are :math:`\sigma^2 = J C J^T` with exact derivatives."""

    if TYPE_CHECKING:
        form: Any
        dnde_unit: Any
        parameters: Any
        _dnde_unit: Any
        copy: Any

        def _theta(self) -> np.ndarray: ...

        def _covariance_internal(self) -> np.ndarray: ...

    def __call__(self, energy: u.Quantity) -> u.Quantity:
        """Differential flux dnde at `energy` (quantity, any shape), in the unit of the amplitude."""
        e = energy_values(energy, "energy")
        return u.Quantity(values(self.form, e, self._theta()), parsed(self.dnde_unit)).to(self._dnde_unit)

    def evaluate(self, energy: u.Quantity, *values: Any, **named: Any) -> u.Quantity:
        """Differential flux for other values of the parameters; those not given are the present ones, and the model stays as it is.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
            Energies, any shape.
        *values
            Quantities or, without a unit, numbers in the unit of the parameter; in the order of `parameters`.
        **named
            The same by name, ``index=2.5``.

        Examples
        --------
        >>> from gammajax import PowerLawSpectralModel
        >>> print(f"{PowerLawSpectralModel().evaluate(2 * u.TeV, index=3):.4g}")
        1.25e-13 1 / (TeV s cm2)
        """
        parameters = self.parameters
        if len(values) > len(parameters):
            raise ModelError(
                f"evaluate: got {len(values)} values for {len(parameters)} parameters: {', '.join(parameters.names)}."
            )
        changed = self.copy()
        for p, value in [
            *zip(changed.parameters, values, strict=False),
            *((changed.parameters[n], v) for n, v in named.items()),
        ]:
            p.value = value
        return changed(energy)

    def evaluate_error(self, energy: u.Quantity) -> u.Quantity:
        r"""Differential flux and its error, by exact propagation :math:`\sigma^2 = J C J^T`.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`, shape (n,)
            Energies.

        Returns
        -------
        `~astropy.units.Quantity`, shape (2, n)
            dnde and its one-sigma error.
        """
        e = energy_values(energy, "energy")
        out = band(self.form, e, self._theta(), self._covariance_internal())
        return u.Quantity(np.stack(out), parsed(self.dnde_unit)).to(self._dnde_unit)

    def _integral(self, energy_min: Any, energy_max: Any, power: int) -> u.Quantity:
        lo, hi = _limits(energy_min, energy_max)
        unit = parsed(self.dnde_unit) * u.TeV ** (power + 1)
        return u.Quantity(integrate_range(self.form, lo, hi, self._theta(), power), unit)

    def _integral_error(self, energy_min: Any, energy_max: Any, power: int) -> u.Quantity:
        lo, hi = _limits(energy_min, energy_max)
        unit = parsed(self.dnde_unit) * u.TeV ** (power + 1)
        both = integral_band(self.form, lo, hi, self._theta(), self._covariance_internal(), power)
        return u.Quantity(np.stack(both), unit)

    def integral(self, energy_min: u.Quantity, energy_max: u.Quantity) -> u.Quantity:
        r"""Integral flux :math:`\int dnde\, dE` between energies (any shape), relative error below 1e-9; cm-2 s-1.

        Parameters
        ----------
        energy_min : `~astropy.units.Quantity`
            Lower ends, any shape.
        energy_max : `~astropy.units.Quantity`
            Upper ends, of the same shape.
        """
        return self._integral(energy_min, energy_max, 0)

    def energy_flux(self, energy_min: u.Quantity, energy_max: u.Quantity) -> u.Quantity:
        r"""Energy flux :math:`\int E\, dnde\, dE` between energies, relative error below 1e-9; TeV cm-2 s-1.

        Parameters
        ----------
        energy_min : `~astropy.units.Quantity`
            Lower ends, any shape.
        energy_max : `~astropy.units.Quantity`
            Upper ends, of the same shape.
        """
        return self._integral(energy_min, energy_max, 1)

    def integral_error(self, energy_min: u.Quantity, energy_max: u.Quantity) -> u.Quantity:
        """Integral flux and its error by exact propagation, shape (2,) or (2, n); cm-2 s-1.

        Parameters
        ----------
        energy_min : `~astropy.units.Quantity`
            Lower ends, any shape.
        energy_max : `~astropy.units.Quantity`
            Upper ends, of the same shape.
        """
        return self._integral_error(energy_min, energy_max, 0)

    def energy_flux_error(self, energy_min: u.Quantity, energy_max: u.Quantity) -> u.Quantity:
        """Energy flux and its error by exact propagation, shape (2,) or (2, n); TeV cm-2 s-1.

        Parameters
        ----------
        energy_min : `~astropy.units.Quantity`
            Lower ends, any shape.
        energy_max : `~astropy.units.Quantity`
            Upper ends, of the same shape.
        """
        return self._integral_error(energy_min, energy_max, 1)

    def spectral_index(self, energy: u.Quantity) -> np.ndarray:
        """Local index -d ln dnde / d ln E at `energy` (quantity, any shape), by an exact derivative.

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
            Energies, any shape.
        """
        return indices(self.form, energy_values(energy, "energy"), self._theta())

    def spectral_index_error(self, energy: u.Quantity) -> np.ndarray:
        """Local index and its error by exact propagation, shape (2, n).

        Parameters
        ----------
        energy : `~astropy.units.Quantity`
            Energies, any shape.
        """
        e = energy_values(energy, "energy")
        return np.stack(index_band(self.form, e, self._theta(), self._covariance_internal()))

    @property
    def pivot_energy(self) -> u.Quantity:
        """Energy at which the relative error of the flux is least; nan where there is no such energy.

        Looked for within a factor of 20 of the reference energy, or from 1 GeV to 1 PeV where there is none.
        """
        reference = next((p for p in self.parameters if p.name == "reference"), None)
        middle = 1.0 if reference is None else reference.value * reference.factor
        factor = 1e3 if reference is None else float(np.exp(3))
        found = pivot(self.form, self._theta(), self._covariance_internal(), (middle / factor, middle * factor))
        return u.Quantity(found, "TeV").to(u.TeV if reference is None else reference.unit)

    @property
    def pivot_energy_error(self) -> u.Quantity:
        r"""Pivot energy and its error by exact propagation, shape (2,); nan where there is no such energy.

        With V the square of the relative error of the flux and x = ln E, :math:`dx/d\theta = -V_{x\theta} / V_{xx}` at the pivot; the
        covariance itself counts as known.
        """
        best = self.pivot_energy
        energy = best.to_value("TeV")
        found = np.nan
        if np.isfinite(energy):
            found = pivot_error(self.form, float(energy), self._theta(), self._covariance_internal())
        return u.Quantity([energy, found], "TeV").to(best.unit)

    def inverse(
        self, value: u.Quantity, energy_min: u.Quantity = 0.1 * u.TeV, energy_max: u.Quantity = 100 * u.TeV
    ) -> u.Quantity:
        """Energies at which the model has the value, in increasing order.

        Parameters
        ----------
        value : `~astropy.units.Quantity`
            dnde.
        energy_min, energy_max : `~astropy.units.Quantity`
            Where to look.

        Returns
        -------
        `~astropy.units.Quantity`, shape (n,)
            The energies; one nan if there is none.
        """
        lo, hi = _limits(energy_min, energy_max)
        target, theta = float(to_unit(value, self.dnde_unit, "value")), self._theta()
        found = roots(lambda e: values(self.form, e, theta) / target - 1, float(lo), float(hi))
        return u.Quantity(found, "TeV")

    def inverse_all(
        self, values: u.Quantity, energy_min: u.Quantity = 0.1 * u.TeV, energy_max: u.Quantity = 100 * u.TeV
    ) -> list[u.Quantity]:
        """Energies at which the model has each of the values, a list of what `inverse` returns.

        Parameters
        ----------
        values : `~astropy.units.Quantity`, shape (n,)
            Values.
        energy_min : `~astropy.units.Quantity`
            Where to look from.
        energy_max : `~astropy.units.Quantity`
            Where to look to.
        """
        return [self.inverse(v, energy_min, energy_max) for v in np.atleast_1d(values)]

    def reference_fluxes(self, energy_axis: Any) -> dict[str, u.Quantity]:
        """Reference energies and fluxes of each bin, named as in gammapy's flux points.

        Parameters
        ----------
        energy_axis : `gammajax.EnergyAxis` or `~astropy.units.Quantity`, shape (n + 1,)
            The bins: an axis with `edges`, or the edges.

        Returns
        -------
        dict
            ``e_ref, e_min, e_max, ref_dnde, ref_flux, ref_eflux, ref_e2dnde``, each of shape (n,); `e_ref` is the
            geometric mean of the edges.
        """
        edges = u.Quantity(getattr(energy_axis, "edges", energy_axis))
        e_min, e_max = edges[:-1], edges[1:]
        center = np.sqrt(e_min * e_max).to(edges.unit)
        return {
            "e_ref": center,
            "e_min": e_min,
            "e_max": e_max,
            "ref_dnde": self(center),
            "ref_flux": self.integral(e_min, e_max),
            "ref_eflux": self.energy_flux(e_min, e_max),
            "ref_e2dnde": self(center) * center**2,
        }

    def plot(self, energy_bounds: Any = None, ax: Any = None, **kwargs: Any) -> Any:
        """Plot the model; see `gammajax.plotting.plot_spectral_model`.

        Parameters
        ----------
        energy_bounds : `~astropy.units.Quantity`, shape (2,)
            Energies between which it is drawn.
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_spectral_model`.
        """
        from gammajax.plotting import plot_spectral_model

        return plot_spectral_model(self, energy_bounds, ax=ax, **kwargs)

    def plot_error(self, energy_bounds: Any = None, ax: Any = None, **kwargs: Any) -> Any:
        """Plot the one-sigma band of the model; see `gammajax.plotting.plot_spectral_error`.

        Parameters
        ----------
        energy_bounds : `~astropy.units.Quantity`, shape (2,)
            Energies between which it is drawn.
        ax : `matplotlib.axes.Axes`, optional
            Axes; the current ones if not given.
        **kwargs
            To `gammajax.plotting.plot_spectral_error`.
        """
        from gammajax.plotting import plot_spectral_error

        return plot_spectral_error(self, energy_bounds, ax=ax, **kwargs)


def _limits(energy_min: Any, energy_max: Any) -> tuple[np.ndarray, np.ndarray]:
    lo, hi = np.broadcast_arrays(energy_values(energy_min, "energy_min"), energy_values(energy_max, "energy_max"))
    bad = np.flatnonzero(~((0 < lo) & (lo < hi)))
    if len(bad):
        raise ModelError(
            f"energy range: got {lo.flat[bad[0]]:g} to {hi.flat[bad[0]]:g} TeV, expected 0 < energy_min < energy_max."
        )
    return lo, hi
