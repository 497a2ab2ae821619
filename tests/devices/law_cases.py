"""One instance of every law, and what to ask of it: for the tests that every law must pass."""

import jax
import jax.numpy as jnp

from devices import conduction, curves, drift, faults, noise, programming, steps, updates, write_verify

US = 1e-6
G_MAX = 25 * US
CURVE = curves.Polynomial([0.3 * US, 1.9 * US, -1.1 * US])


def spread(error):
    return programming.SpreadProgramming(CURVE, G_MAX, error)


PROGRAMMING = {
    "exact": programming.ExactProgramming(),
    "polynomial": spread(programming.Normal()),
    "uniform": spread(programming.Uniform()),
    "student": spread(programming.StudentT(2.5)),
    "mixture": spread(programming.NormalMixture(0.2, 3.0)),
    "proportional": programming.SpreadProgramming(curves.Proportional(1 * US), G_MAX),
    "inverse": programming.SpreadProgramming(curves.InverselyProportional(0.02 * US, 1 * US), G_MAX),
    "saturating": programming.SpreadProgramming(curves.Saturating(0.5 * US, 0.3), G_MAX),
    "split": programming.SpreadProgramming(
        curves.Split(0.5, curves.Table([0.0, 0.6], [0.1 * US, 0.3 * US]), curves.Constant(0.4 * US)), G_MAX
    ),
    "quantised": programming.QuantisedProgramming(jnp.linspace(0, G_MAX, 8), spread(programming.Normal())),
    "quantile": programming.QuantileProgramming(
        [0.0, G_MAX], [0.1, 0.5, 0.9], [[-0.1 * US, 0.0, 0.2 * US], [-0.5 * US, 0.0, 0.4 * US]]
    ),
    "scaled": programming.ScaledProgramming(spread(programming.StudentT(5.0)), 2.0),
    "write-verify": write_verify.WriteVerify(
        updates.PulseUpdate(steps.SoftBounds(1 * US, 1 * US, 12.5 * US, 0.0, G_MAX)), window=0.6 * US, most=40
    ),
}
DRIFT = {
    "none": drift.NoDrift(),
    "power": drift.PowerLawDrift(curves.ClippedLogarithm(-0.0155, 0.0244, 0.049, 0.1), 0.02, G_MAX, 20.0),
    "tabulated exponent": drift.PowerLawDrift(curves.Table([0.0, 1.0], [0.08, 0.02]), 0.01, G_MAX, 20.0),
    "scaled": drift.ScaledDrift(drift.LogTimeRelaxation(-0.2 * US, 0.6 * US, 2 * G_MAX, 1e-2, offset=2.0), 2.0),
    "relaxation": drift.LogTimeRelaxation(-0.1 * US, 0.3 * US, G_MAX, 1e-2, offset=2.0),
    "soft relaxation": drift.LogTimeRelaxation(-0.1 * US, 0.3 * US, G_MAX, 1e-2, offset=0.5, soft=True),
    "heavy relaxation": drift.LogTimeRelaxation(
        curves.Proportional(-0.1 * US), 0.3 * US, G_MAX, 1e-2, error=programming.StudentT(3.0), high=30 * US
    ),
    "stretched": drift.StretchedExponential(1e3, 0.6, 1 * US, 0.3),
    "times": drift.TabulatedSpread((1.0, 100.0), [[0.3 * US, 0.1 * US], [0.5 * US, 0.2 * US]], G_MAX),
    "days": drift.InterpolatedShift(
        [0.0, 1000.0], [[0.0, 0.0], [0.2 * US, -0.3 * US]], [0.3 * US, 0.5 * US], [8 * US, 9 * US], G_MAX
    ),
    "exponential of a polynomial": drift.LogTimeRelaxation(
        curves.ClippedPolynomial([0.0, -0.1 * US], 0.1, 0.9),
        curves.Exponential(curves.ClippedPolynomial([-15.0, 1.0, -1.0], 0.1, 0.9)),
        G_MAX,
        1e-2,
        0.5,
    ),
    "power of log time": drift.LogTimeRelaxation(
        0.0,
        curves.Exponential(curves.PowerAndPolynomial(0.7, [-14.0, -1.0], 0.1, 0.9)),
        G_MAX,
        1e-2,
        0.5,
        curves.ClippedPolynomial([0.4, 0.2], 0.1, 0.9),
        soft=True,
    ),
    "loss": drift.Sequential(
        (
            drift.ActivatedLoss(curves.Table([0.0, 1.0], [1.0, 1.1]), 0.05, G_MAX, 400.0),
            drift.LogTimeRelaxation(0.0, 0.1 * US, G_MAX, 1e-2),
        )
    ),
    "hot": drift.Arrhenius(drift.PowerLawDrift(0.05, 0.02, G_MAX, 20.0), 0.6, 350.0),
}
NOISE = {
    "none": noise.NoReadNoise(),
    "white": noise.WhiteReadNoise(curves.Squared(curves.Proportional(0.2 * US)), G_MAX, 1e6),
    "thermal": noise.ThermalNoise(0.2),
    "shot": noise.ShotNoise(0.2, 0.5),
    "1/f": noise.OneOverFNoise(curves.ClippedPower(0.0088, 0.65, 0.2), G_MAX, 20.0),
    "1/f^1.3": noise.OneOverFNoise(curves.LogarithmicOverState(0.01, 0.01), G_MAX, 20.0, exponent=1.3, present=True),
    "telegraph": noise.TelegraphNoise(0.05, G_MAX, spread=0.4, shortest=1e-7, longest=1e-3),
    "scaled": noise.ScaledReadNoise(noise.OneOverFNoise(curves.ClippedPower(0.0088, 0.65, 0.2), 2 * G_MAX, 20.0), 2.0),
    "sum": noise.SumOfNoises((noise.ThermalNoise(0.2), noise.TelegraphNoise(0.05, G_MAX))),
}
CONDUCTION = {
    "ohmic": conduction.Ohmic(),
    "cubic": conduction.Cubic(0.5),
    "sinh": conduction.Sinh(0.4),
    "poole-frenkel": conduction.PooleFrenkel(0.3),
    "schottky": conduction.Schottky(1.5, 0.2),
    "state": conduction.StateDependent([7.063e-3, 5.711e-3, 1.541e-3, 1.388e-4], [1.2968e-3, 6.7919e-4, 8.871e-5]),
    "tio2": conduction.TitaniumOxide(),
    "temperature": conduction.AtTemperature(conduction.Sinh(0.4), 350.0, -1e-3, 0.05),
    "moving": conduction.MovingVoltage(conduction.PooleFrenkel(0.3), 100.0, 50 * US, 3.0),
    "series": conduction.WithSeriesResistance(conduction.Sinh(0.4), 5e3),
}
FAULTS = {
    "none": faults.NoFaults(),
    "stuck": faults.StuckAt(0.3, 0.3, 0.5 * US, 24 * US, 0.1),
    "map": faults.FaultMap(jnp.asarray(True), 3 * US),
    "worn": faults.WornOut(1e6, 1e7, 1.5, 2 * US, 1 * US, G_MAX, 0.05, 0.1, 1e3),
    "sum": faults.SumOfFaults(
        (faults.StuckAt(0.1, 0.1, 0.5 * US, 24 * US), faults.WornOut(2e6, 1e6, 1.0, 2 * US, 0.1 * US, G_MAX))
    ),
}
STEPS = {
    "constant": steps.ConstantStep(0.1 * US, 0.2 * US, 0.0, G_MAX),
    "linear": steps.LinearStep(0.1 * US, 0.2 * US, 0.4, 0.7, 12 * US, 0.0, G_MAX),
    "soft": steps.SoftBounds(0.1 * US, 0.2 * US, 12 * US, 0.0, G_MAX),
    "pmax": steps.soft_bounds_pmax(100, 0.02, 1 * US, G_MAX),
    "neurosim": steps.neurosim_exponential(1 * US, G_MAX, 97, 100, 2.4, -4.88),
    "exponential": steps.ExponentialStep(0.1 * US, 0.11 * US, 0.2, 0.3, 2.0, 1.5, 0.5, 0.1, 12 * US, 0.0, G_MAX),
    "power": steps.PowerStep(0.3 * US, 0.2 * US, 1.7, 0.6, 0.0, G_MAX),
    "piecewise": steps.PiecewiseStep([0.2 * US, 0.1 * US, 0.05 * US], [0.0, 0.1 * US, 0.2 * US], 0.0, G_MAX),
    "log polynomial": steps.LogPolynomialStep([0.2, -0.05, 0.01], [0.1, 0.05], 0.1 * US, G_MAX),
    "referenced": steps.Referenced(
        steps.SoftBounds(0.3 * US, 0.2 * US, 12 * US, 0.0, G_MAX), reference=-12 * US, at_symmetry=True
    ),
}
NOISY = updates.CycleNoise(0.3, 0.01 * US, 0.002, 12 * US, 0.5)
UPDATES = {
    **{name: updates.PulseUpdate(law) for name, law in STEPS.items()},
    "spread": updates.PulseUpdate(STEPS["soft"], updates.CellSpread(0.3, 0.05, {"g_max": 1 * US, "g_min": 0.1 * US})),
    "log spread": updates.PulseUpdate(
        STEPS["referenced"],
        updates.CellSpread(0.3, 0.05, {"law.g_max": 1 * US, "reference": 0.2 * US}, log_normal=True),
    ),
    "noisy": updates.PulseUpdate(STEPS["linear"], pulses=NOISY, write_noise=0.1 * US),
}


def ask_programming(law, g):
    return law(g, key=jax.random.key(1))


def ask_drift(law, g):
    return law(g, law.latents(g, key=jax.random.key(1)), jnp.asarray(500.0, g.dtype))


def ask_noise(law, g):
    z = law.latents(g, key=jax.random.key(1))
    return law(g, z, jnp.asarray(500.0, g.dtype), jnp.asarray(1e5, g.dtype)) / US


def ask_conduction(law, g):
    return law(g, jnp.asarray(0.31, g.dtype)) + law(g, jnp.asarray(-0.23, g.dtype))


def ask_faults(law, g):
    return law(g, law.latents(g, key=jax.random.key(1)))


def ask_update(law, g):
    z = law.latents(g, key=jax.random.key(1))
    up, z = law(g, z, jnp.asarray(7), key=jax.random.key(2), most=7)
    return law(up, z, jnp.asarray(-3), key=jax.random.key(3), most=3)[0]


ASK = {
    "programming": (PROGRAMMING, ask_programming),
    "drift": (DRIFT, ask_drift),
    "noise": (NOISE, ask_noise),
    "conduction": (CONDUCTION, ask_conduction),
    "faults": (FAULTS, ask_faults),
    "update": (UPDATES, ask_update),
}
EVERY = [(kind, name, law, ask) for kind, (laws, ask) in ASK.items() for name, law in laws.items()]
IDS = [f"{kind}: {name}" for kind, name, _, _ in EVERY]
