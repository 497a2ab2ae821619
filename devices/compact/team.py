"""TEAM and VTEAM: nothing moves below a threshold of the current, or of the voltage."""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices._numerics import optional_array
from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor
from devices.compact.windows import AbstractWindow, Exponential, Linear, NoWindow, power


class AbstractThreshold(AbstractMemristor):
    """What TEAM and VTEAM share; they differ in the quantity `u` that has the threshold.

    $$ \\dot w = k_{off} \\left\\langle \\frac{u}{u_{off}} - 1 \\right\\rangle^{a_{off}} f_{off}(w)
       + k_{on} \\left\\langle \\frac{u}{u_{on}} - 1 \\right\\rangle^{a_{on}} f_{on}(w) $$

    with `<z> = max(z, 0)`, or `s ln(1 + e^{z/s})` for a smooth threshold. The resistance goes from `r_on` at `w_on`
    to `r_off` at `w_off`. As published `u_off > 0 > u_on`: a POSITIVE voltage RESETs (makes the cell less
    conductive). With `u_off < 0 < u_on` a positive voltage SETs.

    Args:
        u_off, u_on: thresholds [A] in TEAM, [V] in VTEAM, of opposite sign.
        k_off, k_on: rates [unit of w per second], `k_off > 0 > k_on`. a_off, a_on: exponents, 1 or more.
        r_on, r_off: resistances [ohm]. w_on, w_off: the state's ends, `w_on < w_off`, most and least conductive [m,
            or fractions].
        start: state of a fresh cell, by default half way.
        width: s, width of the thresholds as a fraction of them; 0: sharp, as published. With s > 0 a cell creeps
            below the threshold too.
        window: see `windows`; it is given `(w - w_on) / (w_off - w_on)` and +1 on the way off, -1 on the way on.
        read_out: how the resistance depends on `x = (w - w_on) / (w_off - w_on)`: "linear" as `r_on + (r_off - r_on)
            x`, "exponential" as `r_on (r_off / r_on)^x` (both published), or "conductance" as `1 / [(1 - x) / r_on +
            x / r_off]` (parallel paths, ours).

    Raises:
        ValueError: if `read_out` is none of these.
    """

    u_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    u_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    k_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    k_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    a_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    a_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    w_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    w_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.0)
    start: Float[Array, "*cells"] | None = eqx.field(converter=optional_array, default=None)
    width: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)
    window: AbstractWindow = NoWindow()
    read_out: str = eqx.field(static=True, default="linear")

    def __check_init__(self):
        if self.read_out not in ("linear", "exponential", "conductance"):
            raise ValueError(f"read_out must be 'linear', 'exponential' or 'conductance', got {self.read_out!r}.")

    @abc.abstractmethod
    def drive(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """The quantity that the thresholds apply to, current [A] or voltage [V]."""

    def resistance(self, x: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Resistance [ohm] in the state `x`."""
        at = self._fraction(x)
        if self.read_out == "exponential":
            return self.r_on * jnp.exp(jnp.log(self.r_off / self.r_on) * at)
        if self.read_out == "conductance":
            return 1 / ((1 - at) / self.r_on + at / self.r_off)
        return self.r_on + (self.r_off - self.r_on) * at

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return v / self.resistance(x)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        u, at = self.drive(x, v), self._fraction(x)
        up, down = jnp.ones_like(u), -jnp.ones_like(u)
        off = self.k_off * self._beyond(u / self.u_off, self.a_off) * self.window(at, up)
        on = self.k_on * self._beyond(u / self.u_on, self.a_on) * self.window(at, down)
        return off + on

    def _fraction(self, x):
        return (x - self.w_on) / (self.w_off - self.w_on)

    def _beyond(self, ratio, exponent):
        z = ratio - 1
        smooth = self.width > 0
        s = jnp.where(smooth, self.width, 1)
        return power(jnp.where(smooth, s * jax.nn.softplus(z / s), jnp.maximum(z, 0)), exponent)

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return self.w_on, self.w_off

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return (self.w_on + self.w_off) / 2 if self.start is None else self.start


class TEAM(AbstractThreshold):
    """Threshold adaptive memristor: `AbstractThreshold` with thresholds of the current, `u = i(w, v)`; see there for
    the arguments.

    Reference: Kvatinsky et al., IEEE Trans. Circuits Syst. I 60, 211 (2013), 10.1109/TCSI.2012.2215714 (recalled, not
    read).

    Breaks when: switching is slow but not absent below the threshold (retention, read disturb); the speed spans more
    decades than a power of the current gives.
    """

    def drive(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.current(x, v)


class VTEAM(AbstractThreshold):
    """Voltage threshold adaptive memristor: `AbstractThreshold` with thresholds of the voltage, `u = v`; see there for
    the arguments.

    Reference: Kvatinsky et al., IEEE Trans. Circuits Syst. II 62, 786 (2015), 10.1109/TCSII.2015.2433536 (recalled,
    not read).

    Breaks when: as for TEAM. In a fit, k, threshold and exponent can hardly be separated by data of one amplitude and
    one sweep rate.
    """

    def drive(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return v + 0 * x


@published(
    Provenance(
        name="vteam_memtorch",
        technology="generic bipolar memristor",
        doi="10.1109/TCSII.2015.2433536",
        measured="nothing in particular: the defaults of a simulator",
        numbers="read",
        volts=1.0,
        notes=("A positive voltage RESETs.",),
    )
)
def vteam_memtorch() -> VTEAM:
    """VTEAM with the defaults of MemTorch (coreylammie/MemTorch, VTEAM.py): 50 ohm to 1 kohm, thresholds +0.02 and
    -0.2 V."""
    return VTEAM(
        u_off=0.02, u_on=-0.2, k_off=5e-4, k_on=-10.0, a_off=1.0, a_on=3.0, r_on=50.0, r_off=1e3, w_on=0.0, w_off=3e-9
    )


@published(
    Provenance(
        name="vteam_magic",
        technology="generic bipolar memristor for stateful logic",
        doi="10.1109/TCSII.2014.2357292",
        measured="nothing: numbers chosen so that a logic gate switches in about a nanosecond",
        numbers="recalled",
        volts=2.0,
        notes=("A positive voltage RESETs.", "Recalled from papers on MAGIC logic; no second source was found."),
    )
)
def vteam_magic() -> VTEAM:
    """VTEAM as in papers on MAGIC logic: 1 kohm to 300 kohm, thresholds +0.3 and -1.5 V."""
    return VTEAM(
        u_off=0.3, u_on=-1.5, k_off=0.091, k_on=-216.2, a_off=4.0, a_on=4.0, r_on=1e3, r_off=300e3, w_on=0.0, w_off=3e-9
    )


@published(
    Provenance(
        name="team_simmons",
        technology="Pt/TiO2/Pt, as in the Simmons tunnel barrier model of it",
        doi="10.1109/TCSI.2012.2215714",
        also=("10.1063/1.3236506",),
        measured="nothing: rates fitted in the paper to the Simmons tunnel barrier model",
        numbers="assumed",
        volts=1.0,
        notes=(
            "A positive voltage RESETs.",
            "Rates, thresholds and window as in public MATLAB scripts of TEAM; the two resistances are ours, "
            "see the docstring.",
            "Within a factor of 3 of the Simmons rates near 0.2 mA and -20 uA; much faster than they are at "
            "larger currents.",
        ),
    )
)
def team_simmons() -> TEAM:
    """TEAM with the rates that its paper fitted to the Simmons tunnel barrier of a TiO2 cell; the state is the
    barrier's width.

    The resistances are a choice of ours: the exponential read-out passes through what `simmons_pickett2009` has at
    1.2 and 1.8 nm at 1 mV (3.5 and 920 kohm).
    """
    low, high = 1.1e-9, 1.9e-9
    at = lambda w: (w - low) / (high - low)  # noqa: E731
    return TEAM(
        u_off=115e-6,
        u_on=-8.9e-6,
        k_off=1.46e-9,
        k_on=-4.68e-13,
        a_off=10.0,
        a_on=10.0,
        r_on=1.37e3,
        r_off=2.34e6,
        w_on=low,
        w_off=high,
        window=Exponential(up=at(1.2e-9), down=at(1.8e-9), scale=0.107e-9 / (high - low)),
        read_out="exponential",
    )


@published(
    Provenance(
        name="vteam_knowm_wsdc",
        technology="Knowm self-directed-channel memristor, tungsten doped (W-SDC)",
        doi="10.1109/TCSII.2015.2433536",
        measured="one loop of one device: 0.8 V sine at 100 Hz behind 5 kohm (device M1)",
        numbers="fitted",
        volts=0.5,
        notes=(
            "A positive voltage SETs. State from 0 (on) to 1 (off).",
            "Fitted to the voltage across the cell, so without the resistor; at other sweep rates the error is "
            "several times larger.",
        ),
    )
)
def vteam_knowm_wsdc() -> VTEAM:
    """VTEAM with linear window and linear conductance, fitted to a loop of a Knowm W-SDC memristor; error 4.2 % of
    the RMS current there."""
    return VTEAM(
        u_off=-0.020,
        u_on=0.066,
        k_off=0.137,
        k_on=-869.0,
        a_off=4.4,
        a_on=1.0,
        r_on=2.07e3,
        r_off=110e3,
        start=0.053,
        window=Linear(),
        read_out="conductance",
    )
