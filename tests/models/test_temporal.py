"""Every member of the table of temporal models passes these tests; a new model joins by one row of `temporal_table.py`."""

import jax
import mpmath
import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

import gammajax
from gammajax import Models, PowerLawSpectralModel, SkyModel
from gammajax.errors import FileFormatError, InputError, ModelError, UnitError
from gammajax.models.temporal import TEMPORAL_MODELS, interval_integrals, mean_over, temporal_model_class
from tests.models.temporal_table import BEGIN, TABLE, TIMING, days, light_curve, ours, phase_curve

rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
plain = pytest.mark.parametrize(
    "row", [r for k, r in TABLE.items() if "," not in k], ids=[k for k in TABLE if "," not in k]
)
# gammapy warns of a file that is not there, of negative norms, and of reading units
quiet = pytest.mark.filterwarnings("ignore")


def of_model(row):
    """Form, times (4, n) in its two parts, and parameters."""
    model = row.make()
    day = np.full(len(row.times), BEGIN.jd1 - 2400000.5)
    times = np.stack([day, BEGIN.jd2 + row.times[:, 0], day, BEGIN.jd2 + row.times[:, 1]])
    return model.form, times, model._theta()


def test_every_model_is_in_the_table():
    known = {c.__name__ for c in TEMPORAL_MODELS.values() if c.__module__.startswith("gammajax.")}
    assert known - {"TemporalModel"} == {type(row.make()).__name__ for row in TABLE.values()}


@rows
def test_value(row):
    model = row.make()
    theta = [mpmath.mpf(t) for t in model._theta()]
    _, others = model.form.split(theta)
    at = np.array([-2.5, -0.1, 0.6, 2.75])
    shift = row.since_reference()[0, 0] - row.times[0, 0]
    expected = [float(row.formula(mpmath.mpf(t + shift), *others)) for t in at]
    # the phase of a pulsar is a float of many turns
    np.testing.assert_allclose(
        model(BEGIN + at * u.d), expected, rtol=1e-11 if "phase" not in type(row).__name__ else 1e-9
    )


@quiet
@rows
def test_value_as_in_gammapy(row):
    theirs = row.build(pytest.importorskip("gammapy.modeling.models"))
    at = BEGIN + np.array([-2.5, -0.1, 0.6, 2.75]) * u.d
    np.testing.assert_allclose(row.make()(at), theirs(at).to_value(""), rtol=row.tolerance)


@rows
def test_integral_is_exact(row):
    form, times, theta = of_model(row)
    with jax.enable_x64(True), mpmath.workdps(25):
        found = np.asarray(interval_integrals(form, times, tuple(theta))[0])
        _, others = form.split([mpmath.mpf(t) for t in theta])
        expected = np.array([float(v) for v in row.exact(mpmath.mpf(0), others, primitive=False)])
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@quiet
@rows
def test_integral_as_in_gammapy(row):
    """By gammapy's convention, and its numbers where they are right."""
    model = row.make()
    start, stop = (BEGIN + row.times[:, k] * u.d for k in (0, 1))
    found = model.integral(start, stop)
    form, times, theta = of_model(row)
    with jax.enable_x64(True):
        mean = float(mean_over(form, times, tuple(theta)))
    assert found.sum().to_value("") == pytest.approx(mean, rel=1e-12)
    if row.integral_in_gammapy:
        theirs = row.build(pytest.importorskip("gammapy.modeling.models"))
        # one by one: its phase curve takes no arrays
        each = [
            float(getattr(v, "value", v)) for v in (theirs.integral(a, b) for a, b in zip(start, stop, strict=True))
        ]
        width = (stop - start).to_value("d")
        np.testing.assert_allclose(found, each * width / width.sum(), rtol=row.tolerance)


def exact_mean(row, shift):
    """The mean in mpmath, with all parameters moved."""
    form, times, theta = of_model(row)
    moved = [mpmath.mpf(t) + s for t, s in zip(theta, shift, strict=True)]
    _, others = form.split(moved)
    reference = mpmath.mpf(0) if form.reference is None else shift[form.reference]
    width = sum(row.times[:, 1] - row.times[:, 0])
    return mpmath.fsum(row.exact(reference, others)) / mpmath.mpf(width)


def differences(row, unit, mixed):
    """First and second differences of the exact mean, in units of each parameter; nan where not asked for."""
    n = len(unit)
    h = mpmath.mpf(10) ** -6

    def at(*moves):
        shift = [mpmath.mpf(0)] * n
        for k, steps in moves:
            shift[k] += steps * h * mpmath.mpf(unit[k])
        return exact_mean(row, shift)

    up, down, middle = [at((k, 1)) for k in range(n)], [at((k, -1)) for k in range(n)], at()
    first = np.array([float((a - b) / (2 * h)) for a, b in zip(up, down, strict=True)])
    second = np.full((n, n), np.nan)
    for i in range(n):
        second[i, i] = float((up[i] - 2 * middle + down[i]) / h**2)
        for j in range(i if mixed else 0):
            cross = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
            second[i, j] = second[j, i] = float(cross / (4 * h**2))
    return first, second


def units(row):
    """Steps of the parameters: of a reference time a part of a day, not of a date; of a pulsar's timing a part of a turn."""
    model = row.make()
    theta, form = model._theta(), model.form
    if "f0" in form.names:
        return np.array([1e-2, 0.1, 1e-6, 1e-11, 1e-16])
    unit = np.where(theta == 0, 1.0, theta)
    if form.reference is not None:
        unit[form.reference] = 1.0
    return unit


def check_derivatives(row, mixed):
    form, times, theta = of_model(row)
    unit = units(row)

    def mean(x):
        return mean_over(form, times, tuple(theta + x * unit))

    with jax.enable_x64(True):
        both = jax.jit(lambda x: (jax.grad(mean)(x), jax.hessian(mean)(x)))
        found, hessian = (np.asarray(a) for a in both(np.zeros(len(theta))))
    with mpmath.workdps(30):
        first, second = differences(row, unit, mixed)
    # steps of 1e-6 leave 1e-12 of the next derivatives
    np.testing.assert_allclose(found, first, rtol=1e-8, atol=1e-9 * np.abs(first).max())
    known = np.isfinite(second)
    np.testing.assert_allclose(hessian[known], second[known], rtol=1e-6, atol=1e-7 * np.nanmax(np.abs(second)) + 1e-15)


with_parameters = [k for k, r in TABLE.items() if len(r.make().parameters)]


@pytest.mark.parametrize("name", [k for k in with_parameters if "," not in k and k != "phase"])
def test_derivatives_of_the_mean(name):
    check_derivatives(TABLE[name], mixed=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", with_parameters)
def test_all_derivatives_of_the_mean(name):
    check_derivatives(TABLE[name], mixed=True)


# mean over a day and a quarter that begins on the kink, and the slopes of the curve below and above it and at the end
def pointed(t):
    return ours.GeneralizedGaussianTemporalModel(t_ref=days(t), t_rise=days(0.5), t_decay=days(2.0), eta=1.0)


def peaked(t):
    return ours.LightCurveTemplateTemporalModel(days(np.array([0, 1, 9.0])), [1, 3, 0], days(t - 1))


CORNERS = {"pulse": (pointed, 1.0, -0.25, -0.25 * np.exp(-0.3125)), "light curve": (peaked, 2.0, -0.375, -0.375)}


@pytest.mark.parametrize("corner", CORNERS)
def test_an_end_on_a_corner(corner):
    """The mean and its slope are continuous there; the second derivative jumps, and is right next to it and a number on it."""
    build, below, above, end = CORNERS[corner]
    model, at = build(53344.0), build(53344.0)._theta()
    index = model.form.reference
    times = np.array([[53344.0], [0.0], [53345.0], [0.25]])

    def mean(shift):
        return mean_over(model.form, times, (*at[:index], at[index] + shift, *at[index + 1 :]))

    with jax.enable_x64(True):
        both = jax.jit(lambda x: (jax.grad(mean)(x), jax.hessian(mean)(x)))
        # a step that a date of 53344 d can hold
        (s0, h0), (s1, h1), (s2, h2) = (tuple(map(float, both(x))) for x in (-1e-7, 0.0, 1e-7))
    # the kink before the interval, then inside of it
    assert h0 == pytest.approx((end - above) / 1.25, rel=1e-6)
    assert h2 == pytest.approx((end - below) / 1.25, rel=1e-6)
    assert np.isfinite(h1)
    assert max(s0, s1, s2) - min(s0, s1, s2) < 3e-7


def test_a_pulsar_for_an_hour():
    """10^5 turns: the whole ones count with the mean, and the rest with the curve."""
    timing = TIMING | {"f0": 29.946923 / u.s, "f1": -3.8e-10 / u.s**2, "f2": 1e-20 / u.s**3}
    model = phase_curve(ours, **timing)
    whole = model.integral(BEGIN, BEGIN + 1 * u.h).value
    assert whole == pytest.approx(1.0, abs=1e-4)
    # 20 turns in steps of a ten thousandth of a turn; the ends of the steps are summed with halves
    length = 20.3 / 29.946923
    t = BEGIN + np.linspace(0, length, 203_001) * u.s
    y = model(t).value
    # a float of 10^6 turns is good to 1e-10 of a turn; the jump at phase 0 costs a step
    expected = (y.sum() - 0.5 * (y[0] + y[-1])) / (len(y) - 1)
    assert model.integral(BEGIN, BEGIN + length * u.s).value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ours.GaussianTemporalModel(scale="noon"), InputError, "scale got 'noon', expected one of"),
        (lambda: ours.GaussianTemporalModel(sigma=3), UnitError, "sigma: got 3 without a unit"),
        (lambda: ours.ConstantTemporalModel().reference_time, ModelError, "has no reference time"),
        (lambda: ours.GaussianTemporalModel()(53343.0), InputError, "time: got 53343.0, expected times"),
        (
            lambda: ours.GaussianTemporalModel().integral(BEGIN, BEGIN),
            InputError,
            "t_max must be behind t_min",
        ),
        (
            lambda: ours.LightCurveTemplateTemporalModel(days(np.array([0, 2, 1.0])), [1, 1, 1]),
            InputError,
            "rows 1 and 2: the times do not increase",
        ),
        (lambda: ours.LightCurveTemplateTemporalModel(days(np.array([0.0])), [1]), InputError, "two of them at least"),
        (lambda: ours.LightCurveTemplateTemporalModel.read("a.fits", "map"), InputError, "got 'map', expected 'table'"),
        (lambda: ours.TemplatePhaseCurveTemporalModel([0, 1.2], [1, 1]), InputError, "phases go from 0 to 1.2"),
        (lambda: ours.TemplatePhaseCurveTemporalModel([0, 1], [0, 0]), InputError, "mean of the norms is 0"),
        (
            lambda: phase_curve(ours, f1=1e-9 / u.s**2).integral(BEGIN, BEGIN + 1 * u.d),
            InputError,
            "frequency changes by .* of itself in one turn",
        ),
        (
            lambda: SkyModel(PowerLawSpectralModel(), temporal_model=3),
            ModelError,
            "temporal_model=3, expected a temporal",
        ),
        (lambda: temporal_model_class("gaus"), InputError, "unknown temporal model 'gaus'; did you mean gauss"),
    ],
)
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_measurement_outside_of_the_table_is_warned_of():
    with pytest.warns(UserWarning, match=r"go from 4\.25 to 5\.25 d after t_ref, its table from -4 to 4 d"):
        light_curve(ours).integral(BEGIN + 4 * u.d, BEGIN + 5 * u.d)


def test_before_the_reference_time_a_power_is_no_number():
    model = ours.PowerLawTemporalModel(alpha=0.5, t_ref=days(53343.25))
    assert np.isnan(model.integral(BEGIN - 1 * u.h, BEGIN + 1 * u.h).value)
    # from the reference time itself: t^1.5 / 1.5
    assert model.integral(BEGIN, BEGIN + 4 * u.d).value == pytest.approx(4**1.5 / 1.5 / 4, rel=1e-12)
    model.alpha.value = -1.0
    assert model.integral(BEGIN, BEGIN + 4 * u.d).value == np.inf


def test_the_time_scale_is_that_of_the_model():
    one, other = (ours.SineTemporalModel(omega=1e3 * u.rad / u.d, t_ref=days(53343), scale=s) for s in ("utc", "tt"))
    later = Time(53343.25, format="mjd", scale="tt")
    assert one(BEGIN) == pytest.approx(other(later), abs=1e-9)
    other.reference_time = Time(53342.5, format="mjd", scale="tt")
    assert other.t_ref.value == 53342.5
    assert other.reference_time.scale == "tt"


# -- files ---------------------------------------------------------------------------------------------------------------


def saved(row, tmp_path):
    """A model of the row, its table written where it has one."""
    model = row.make()
    if hasattr(model, "filename"):
        model.write(tmp_path / "curve.fits", overwrite=True)
    return model


@plain
def test_model_files_both_ways(row, tmp_path):
    pytest.importorskip("gammapy")
    from gammapy.modeling.models import Models as Theirs

    model = saved(row, tmp_path)
    if len(model.parameters):
        model.parameters[0].error, model.parameters[0].frozen = 0.125, True
    sky = SkyModel(PowerLawSpectralModel(), "flare", temporal_model=model)
    Models([sky]).write(tmp_path / "ours.yaml")
    back = Models.read(tmp_path / "ours.yaml")["flare"].temporal_model
    assert type(back) is type(model)
    assert [(p.name, p.value, p.error, p.frozen) for p in back.parameters] == [
        (p.name, p.value, p.error, p.frozen) for p in model.parameters
    ]
    at = BEGIN + np.array([-1.3, 0.2, 1.9]) * u.d
    np.testing.assert_allclose(back(at), model(at), rtol=1e-14)
    theirs = Theirs.read(tmp_path / "ours.yaml")
    np.testing.assert_allclose(theirs["flare"].temporal_model(at).to_value(""), model(at), rtol=row.tolerance)
    theirs.write(tmp_path / "theirs.yaml")
    again = Models.read(tmp_path / "theirs.yaml")["flare"]
    assert again.temporal_model.parameters.names == model.parameters.names
    np.testing.assert_allclose(again.temporal_model(at), model(at), rtol=1e-9)
    assert again.temporal_model.scale == model.scale


def test_covariance_in_files_and_snapshots(tmp_path):
    pulse = ours.GaussianTemporalModel(t_ref=days(53343), sigma=days(0.5))
    models = Models([SkyModel(PowerLawSpectralModel(), "flare", temporal_model=pulse)])
    assert models.parameters_unique_names[3:] == ["flare.temporal.t_ref", "flare.temporal.sigma"]
    matrix = np.diag([0.1, 0.2, 0.0, 0.3, 0.4]) ** 2
    matrix[1, 4] = matrix[4, 1] = 0.01
    models.set_covariance(matrix)
    for p, e in zip(models.parameters, np.sqrt(np.diag(matrix)), strict=True):
        p.error = float(e)
    models.write(tmp_path / "m.yaml")
    np.testing.assert_allclose(Models.read(tmp_path / "m.yaml").covariance.data, matrix, rtol=1e-12)
    np.testing.assert_allclose(models.snapshot().covariance.data, matrix)
    np.testing.assert_allclose(models["flare"].covariance.data, matrix)
    assert list(models.to_parameters_table()["type"]) == ["spectral"] * 3 + ["temporal"] * 2
    copied = models["flare"].copy("other")
    copied.temporal_model.sigma.value = 3.0
    assert pulse.sigma.value == 0.5


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.update(type="GausTemporalModel"), "unknown temporal model 'GausTemporalModel'; .* Did you mean"),
        (lambda d: d.update(scale="noon"), "scale got 'noon'"),
        (lambda d: d.update(colour=1), "unknown key 'colour'"),
        (lambda d: d["parameters"].append({"name": "tau", "value": 1.0}), "unknown parameter 'tau'"),
    ],
)
def test_wrong_files(change, text):
    data = Models([SkyModel(PowerLawSpectralModel(), "a", temporal_model=ours.GaussianTemporalModel())]).to_dict()
    change(data["components"][0]["temporal"])
    with pytest.raises(FileFormatError, match=text):
        Models.from_dict(data)


def test_a_table_without_a_file_is_not_written():
    model = SkyModel(PowerLawSpectralModel(), "a", temporal_model=light_curve(ours))
    with pytest.raises(ModelError, match=r"names the file of its table; write that first"):
        Models([model]).to_yaml()


def test_wrong_tables(tmp_path):
    from astropy.table import Table

    table = Table({"TIME": [0.0, 1.0] * u.d, "NORM": [1.0, 2.0]})
    with pytest.raises(FileFormatError, match="keyword MJDREFI is missing"):
        ours.LightCurveTemplateTemporalModel.from_table(table)
    table["TIME"].unit = "TeV"
    with pytest.raises(FileFormatError, match="column TIME has the unit 'TeV', expected d"):
        ours.LightCurveTemplateTemporalModel.from_table(table)
    table.rename_column("NORM", "RATE")
    with pytest.raises(FileFormatError, match="column NORM is missing; the columns are TIME, RATE"):
        ours.LightCurveTemplateTemporalModel.from_table(table)
    (tmp_path / "x.fits").write_text("no table")
    with pytest.raises(FileFormatError, match=r"light curve file x\.fits: not a FITS file that can be read"):
        ours.LightCurveTemplateTemporalModel.read(tmp_path / "x.fits")


def test_plot():
    import matplotlib.pyplot as plt

    model = ours.GaussianTemporalModel(t_ref=days(53343), sigma=days(0.5))
    ax = model.plot(Time([53341, 53345], format="mjd", scale="utc"), ax=plt.figure().gca())
    x, y = ax.lines[0].get_data()
    assert (x[0], len(x)) == (53341, 100)
    assert y.max() == pytest.approx(1, abs=1e-2)
    plt.close("all")


def test_names_at_the_top():
    for row in TABLE.values():
        assert getattr(gammajax, type(row.make()).__name__) is type(row.make())
