"""Endurance: how the window closes with cycles, how readings scatter about it, and when devices fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats

from devices.faults import WornOut
from devices.fitting.cycling.endurance_data import CHUNK, cycling, first_closed
from devices.fitting.engine import checks
from devices.fitting.engine.candidate import CONTINUED, AbstractCandidate, Proposals
from devices.fitting.engine.parameters import Parameter
from devices.fitting.engine.result import Check
from devices.instruments.trace import FileError, Trace

STATES = ("on", "off")
NEVER = 1e30  # cycles that a device of which no failure is known lives
WIDTH = 0.05  # decades over which a window starts to close


class Window(AbstractCandidate):
    """A window that closes with the logarithm of the cycles, and Weibull lifetimes.

    $$ \\log_{10} g_{on} = a_{on} - c_{on} D + o + u, \\quad \\log_{10} g_{off} = a_{off} + c_{off} D + o' + u', \\quad
       D = \\log_{10}(N / N_{on}) $$

    `N_on` is the first cycle read; where it is fitted (`onset`), D is 0 before it. With several devices, o is normal
    from device to device with standard deviation d. Readings scatter by u: independent with innovations e of scale
    s, or, with a memory r and a gain k,

    $$ u_n = r\\,m_{n-1} + e_n, \\quad m_n = r\\,m_{n-1} + k\\,e_n $$

    which is white noise on top of a slow part at small k and an autoregression at k = 1. e is normal, or Student's
    with nu degrees of freedom. With two or more failed devices (window below the limit until the record ends),
    lifetimes follow

    $$ P(\\text{alive at } N) = \\exp\\bigl(-(N/\\lambda)^\\kappa\\bigr),
       \\quad \\lambda = \\text{scale}, \\; \\kappa = \\text{shape} $$

    a failure being known to the interval between two readings, a device that still works to live longer than its
    record. Readings after failure are not part of the windows.

    Breaks when: devices wear at different rates; or memory depends on cycles while readings are unevenly spaced (here
    it goes by readings).
    """

    kind: ClassVar[str] = "endurance"
    name: ClassVar[str] = "log-linear"
    law: ClassVar[str] = "log10 g linear in log10 N, independent normal scatter"
    tails: ClassVar[bool] = False
    memory: ClassVar[bool] = False
    bend: ClassVar[bool] = False
    starts: ClassVar[int] = 6
    devices: int = eqx.field(static=True)
    lifetimes: bool = eqx.field(static=True)
    siemens: bool = eqx.field(static=True, default=True)

    @classmethod
    def of(cls, trace: Trace) -> tuple[Window, dict[str, Any]]:
        data = cycling(trace)
        devices = len(data["life"])
        if cls.tails and devices > 1:
            raise FileError(
                f"{trace.name}: {devices} devices; heavy tails are fitted to one device at a time. Choose one, or a "
                "normal model."
            )
        return cls(devices, int(np.isfinite(data["life"][:, 1]).sum()) >= 2, trace.unit == "S"), data

    def parameters(self) -> tuple[Parameter, ...]:
        found = [p for state in STATES for p in self._of_state(state)]
        if self.bend:
            found.append(Parameter("onset", "cycles", 1.0, 1e12, (1e2, 1e6), log=True))
        if self.lifetimes:
            found += [
                Parameter("scale", "cycles", 1.0, 1e15, (1e2, 1e9), log=True),
                Parameter("shape", "", 0.05, 50.0, (0.5, 5.0), log=True),
            ]
        return tuple(found)

    def _of_state(self, state: str) -> list[Parameter]:
        found = [
            Parameter(f"a_{state}", "log10 S", -np.inf, np.inf, (-7.0, -3.0)),
            Parameter(f"c_{state}", "1/decade", -np.inf, np.inf, (-0.2, 0.2)),
            Parameter(f"s_{state}", "log10 S", 1e-5, 10.0, (0.01, 0.5), log=True),
        ]
        if self.tails:
            found.append(Parameter(f"nu_{state}", "", 0.5, 1e3, (2.0, 20.0), log=True))
        if self.memory:
            found += [
                Parameter(f"r_{state}", "", 1e-3, 0.99999, (0.3, 0.98)),
                Parameter(f"k_{state}", "", 1e-4, 1.0, (0.02, 0.5), log=True),
            ]
        if self.devices > 1:
            found.append(Parameter(f"d_{state}", "log10 S", 1e-5, 10.0, (0.01, 0.5), log=True))
        return found

    def guesses(self, data: Any) -> list[dict[str, float]]:
        used, guess = data["used"] > 0, {}
        x = np.log10(data["cycle"] / data["first"])
        for k, (state, sign) in enumerate(zip(STATES, (-1, 1), strict=True)):
            slope, level = np.polyfit(x[used], data["y"][k][used], 1)
            rest = np.where(used, data["y"][k] - level - slope * x, 0)
            between = np.std(rest.sum(1) / used.sum(1)) if self.devices > 1 else 0.0
            within = float(np.sqrt(np.mean(rest[used] ** 2)))
            own = {"a": level, "c": sign * slope, "s": within, "nu": 5.0, "r": 0.95, "k": 0.1, "d": max(between, 1e-3)}
            guess |= {f"{name}_{state}": float(value) for name, value in own.items()}
        ends = data["life"][np.isfinite(data["life"][:, 1])]
        guess |= {"scale": float(np.mean(ends)) if len(ends) else 1e6, "shape": 1.5}
        last = float(data["cycle"].max())
        return [{**guess, "onset": float(n)} for n in np.geomspace(data["first"], last, 5)[1:4]]

    def decades(self, values: Mapping[str, Any], data: Any) -> Any:
        """D of every reading."""
        x = jnp.log10(data["cycle"])
        if not self.bend:
            return x - jnp.log10(data["first"])
        return WIDTH * jax.nn.softplus((x - jnp.log10(values["onset"])) / WIDTH)

    def windows(self, values: Mapping[str, Any], data: Any) -> Any:
        """Decimal logarithm of both conductances, without scatter (2 x devices x rows)."""
        d = self.decades(values, data)
        return jnp.stack([values["a_on"] - values["c_on"] * d, values["a_off"] + values["c_off"] * d])

    def _pair(self, values: Mapping[str, Any], name: str) -> Any:
        """A parameter of both states, to go with arrays (2 x devices)."""
        return jnp.stack([values[f"{name}_{state}"] for state in STATES])[:, None]

    def innovations(self, values: Mapping[str, Any], u: Any) -> Any:
        """e from u, along the last axis."""
        if not self.memory:
            return u
        r, k = self._pair(values, "r"), self._pair(values, "k")

        def advance(m, now):
            e = now - r * m
            return r * m + k * e, e

        return jnp.moveaxis(lax.scan(advance, jnp.zeros(u.shape[:2]), jnp.moveaxis(u, 2, 0))[1], 0, 2)

    def deviations(self, values: Mapping[str, Any], data: Any) -> tuple[Any, Any]:
        """Innovations (0 where unused), and how each responds to a shift of its device."""
        used = data["used"]
        e = used * self.innovations(values, used * (data["y"] - self.windows(values, data)))
        return e, used * self.innovations(values, used * jnp.ones_like(e))

    def nll(self, values: Mapping[str, Any], data: Any) -> Float[Array, " blocks"]:
        s = self._pair(values, "s")
        if self.devices == 1:
            used = data["used"]
            e = used * self.innovations(values, used * (data["y"] - self.windows(values, data)))
            cost = jnp.sum(data["used"] * (jnp.log(s[..., None]) + self._cost(values, e / s[..., None])), 0)
            return jnp.sum(cost.reshape(-1, CHUNK), 1)
        e, h = self.deviations(values, data)
        d2, s2 = self._pair(values, "d") ** 2, s**2
        hh, he, ee = jnp.sum(h * h, 2) / s2, jnp.sum(h * e, 2) / s2, jnp.sum(e * e, 2) / s2
        rows = jnp.sum(data["used"], 1)
        both = rows * (jnp.log(s) + 0.5 * jnp.log(2 * jnp.pi)) + (ee - he**2 / (1 / d2 + hh) + jnp.log1p(d2 * hh)) / 2
        return jnp.sum(both, 0) + self._lifetimes(values, data)

    def _cost(self, values: Mapping[str, Any], z: Any) -> Any:
        """Negative log density of standardised innovations."""
        if not self.tails:
            return 0.5 * (z**2 + jnp.log(2 * jnp.pi))
        nu = self._pair(values, "nu")[..., None]
        return (
            (nu + 1) / 2 * jnp.log1p(z**2 / nu) + gammaln(nu / 2) - gammaln((nu + 1) / 2) + 0.5 * jnp.log(jnp.pi * nu)
        )

    def _lifetimes(self, values: Mapping[str, Any], data: Any) -> Any:
        """Negative log likelihood of each device's lifetime."""
        if not self.lifetimes:
            return 0.0
        first, last = data["life"][:, 0], data["life"][:, 1]
        failed = jnp.isfinite(last)
        hazard = lambda n: (jnp.maximum(n, 1e-9) / values["scale"]) ** values["shape"]  # noqa: E731
        more = hazard(jnp.where(failed, last, 1.0)) - hazard(first)
        return hazard(first) - jnp.where(
            failed, jnp.log(-jnp.expm1(-jnp.where(failed, jnp.maximum(more, 1e-12), 1.0))), 0
        )

    def simulate(self, values: Mapping[str, Any], data: Any, *, key: PRNGKeyArray) -> Any:
        scatter, shift, death = jax.random.split(key, 3)
        shape = data["y"].shape
        if self.tails:
            z = jax.random.t(scatter, jnp.broadcast_to(self._pair(values, "nu")[..., None], shape), dtype=jnp.float64)
        else:
            z = jax.random.normal(scatter, shape, jnp.float64)
        y = self.windows(values, data) + self._remembered(values, self._pair(values, "s")[..., None] * z)
        if self.devices > 1:
            y = y + (self._pair(values, "d") * jax.random.normal(shift, shape[:2], jnp.float64))[..., None]
        new = {**data, "y": y}
        return {**new, **self._simulated_failures(values, data, death)} if self.lifetimes else new

    def _remembered(self, values: Mapping[str, Any], e: Any) -> Any:
        """u from e, along the last axis."""
        if not self.memory:
            return e
        r, k = self._pair(values, "r"), self._pair(values, "k")
        advance = lambda m, now: (r * m + k * now, r * m + now)  # noqa: E731
        return jnp.moveaxis(lax.scan(advance, jnp.zeros(e.shape[:2]), jnp.moveaxis(e, 2, 0))[1], 0, 2)

    def _simulated_failures(self, values: Mapping[str, Any], data: Any, key: PRNGKeyArray) -> dict[str, Any]:
        """Lifetimes as the readings would have shown them."""
        life = values["scale"] * jax.random.exponential(key, (self.devices,), jnp.float64) ** (1 / values["shape"])
        alive = (data["cycle"] <= life[:, None]) & (data["read"] > 0)
        dead = (data["cycle"] > life[:, None]) & (data["read"] > 0)
        last = jnp.max(jnp.where(alive, data["cycle"], 0.0), 1)
        return {
            "used": alive.astype(float),
            "life": jnp.stack([last, jnp.min(jnp.where(dead, data["cycle"], jnp.inf), 1)], 1),
        }

    def count(self, data: Any) -> int:
        return int(2 * np.sum(data["used"]))

    def residuals(self, values: Mapping[str, float], data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Readings less window and device (2 x devices x rows), and standardised innovations; NaN where unused."""
        with jax.enable_x64(True):
            p = {name: jnp.asarray(v) for name, v in values.items()}
            e, h = (np.asarray(x) for x in self.deviations(p, data))
            u, s = np.asarray(data["y"] - self.windows(p, data)), np.asarray(self._pair(p, "s"))
        if self.devices > 1:
            d2 = np.array([[values[f"d_{state}"] ** 2] for state in STATES])
            shift = ((h * e).sum(2) / ((h * h).sum(2) + s**2 / d2))[..., None]
            u, e = u - shift, e - shift * h
        unused = data["used"] == 0
        return np.where(unused, np.nan, u), np.where(unused, np.nan, e / s[..., None])

    def checks(self, values: Mapping[str, float], data: Any) -> tuple[Check, ...]:
        _, z = self.residuals(values, data)
        found = []
        for k, state in enumerate(STATES):
            p = stats.t.cdf(z[k], values[f"nu_{state}"]) if self.tails else stats.norm.cdf(z[k])
            normal = stats.norm.ppf(np.clip(p, 1e-12, 1 - 1e-12))
            found += [checks.uniform(p.ravel(), f"log10 g_{state}"), checks.uncorrelated(normal, f"log10 g_{state}")]
        return tuple(found)

    def measures(self, values: Mapping[str, float], data: Any) -> dict[str, float]:
        u, _ = self.residuals(values, data)
        share, first = first_closed(data)
        found = {f"sd_{state}": float(np.sqrt(np.nanmean(u[k] ** 2))) for k, state in enumerate(STATES)}
        failed = float(np.isfinite(data["life"][:, 1]).sum())
        return {**found, "closed windows": share, "first closed window [cycles]": first, "failed devices": failed}

    def experiments(self, data: Any) -> Proposals:
        return (("cycle ten times as long", {**data, "cycle": 10 * data["cycle"]}, CONTINUED),)

    def laws(self, values: Mapping[str, Any], data: Any) -> dict[str, Any]:
        """`WornOut` at 0 cycles (a fresh device: set `cycles` to age it), and the fresh window. Where no lifetimes
        are known no cell fails.

        The scatter of readings is not a fault: it belongs to programming and noise.
        """
        scale, shape = (values["scale"], values["shape"]) if self.lifetimes else (jnp.asarray(NEVER), jnp.asarray(1.0))
        g_min, g_max = 10 ** values["a_off"], 10 ** values["a_on"]
        onset = values["onset"] if self.bend else jnp.asarray(data["first"])
        worn = WornOut(
            jnp.zeros(()),
            scale,
            shape,
            10 ** jnp.asarray(data["stuck"]),
            g_min,
            g_max,
            values["c_off"],
            values["c_on"],
            onset,
        )
        return {"faults": worn, "g_min": g_min, "g_max": g_max} if self.siemens else {"faults": worn}


class HeavyTails(Window):
    """`Window` with Student's t for the scatter."""

    name: ClassVar[str] = "log-linear, t"
    law: ClassVar[str] = "log10 g linear in log10 N, independent t scatter"
    tails: ClassVar[bool] = True


class CorrelatedReadings(Window):
    """`Window` with a memory from reading to reading."""

    name: ClassVar[str] = "log-linear, memory"
    law: ClassVar[str] = "log10 g linear in log10 N, normal scatter with memory"
    memory: ClassVar[bool] = True


class CorrelatedHeavyTails(HeavyTails):
    """`Window` with both."""

    name: ClassVar[str] = "log-linear, t, memory"
    law: ClassVar[str] = "log10 g linear in log10 N, t scatter with memory"
    memory: ClassVar[bool] = True


class OnsetWindow(Window):
    """`Window` that stays constant until an onset, with normal scatter."""

    name: ClassVar[str] = "onset"
    law: ClassVar[str] = "log10 g constant, then linear in log10 N; independent normal scatter"
    bend: ClassVar[bool] = True


class OnsetCorrelatedHeavyTails(CorrelatedHeavyTails):
    """`Window` that stays constant until an onset, with heavy tails and memory."""

    name: ClassVar[str] = "onset, t, memory"
    law: ClassVar[str] = "log10 g constant, then linear in log10 N; t scatter with memory"
    bend: ClassVar[bool] = True


CANDIDATES = (Window, HeavyTails, CorrelatedReadings, CorrelatedHeavyTails, OnsetWindow, OnsetCorrelatedHeavyTails)
