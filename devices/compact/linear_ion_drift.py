"""Linear ion drift: a doped and an undoped layer in series, whose boundary drifts."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor
from devices.compact.windows import AbstractWindow, NoWindow


class LinearIonDrift(AbstractMemristor):
    """The first model of a memristor: dopants drift in the field of the doped layer, which fills the fraction `x` of
    the film.

    $$ v = [R_{on} x + R_{off} (1 - x)]\\,i, \\qquad \\dot x = \\frac{\\mu R_{on}}{D^2}\\, i\\, f(x, i) $$

    Without a window the step has a closed form, `R^2` being linear in the flux, and is exact for any piecewise linear
    waveform.

    Args:
        r_on, r_off: resistance of the fully doped and undoped film [ohm]. mobility: of the dopants [m^2/Vs].
        thickness: D [m].
        start: state of a fresh cell. window: f, see `windows`; its drive is the current [A].

    Reference: Strukov et al., Nature 453, 80 (2008), 10.1038/nature06932.

    Breaks when: asked for nonlinear switching speed (retention of years and nanosecond writes together): the rate is
    linear in the voltage, and any read disturbs the state. Good for theory, not for a real cell.
    """

    r_on: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_off: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    mobility: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    thickness: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    start: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.1)
    window: AbstractWindow = NoWindow()

    def resistance(self, x: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Resistance [ohm] of a film doped up to `x`."""
        return self.r_off - (self.r_off - self.r_on) * x

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return v / self.resistance(x)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        i = self.current(x, v)
        return self._per_charge * i * self.window(x, i)

    def step(
        self,
        x: Float[Array, "*#cells"],
        v: Float[Array, "*#cells"],
        dt: Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*cells"]:
        if not isinstance(self.window, NoWindow):
            return super().step(x, v, dt, key=key)
        span = self.r_off - self.r_on
        squared = self.resistance(x) ** 2 - 2 * span * self._per_charge * v * dt
        r = jnp.sqrt(jnp.clip(squared, self.r_on**2, self.r_off**2))
        return (self.r_off - r) / span

    @property
    def _per_charge(self):
        return self.mobility / self.thickness * (self.r_on / self.thickness)  # change of x per charge [1/C]

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return jnp.zeros_like(self.start), jnp.ones_like(self.start)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.start


@published(
    Provenance(
        name="strukov2008",
        technology="Pt/TiO2-x/Pt film, 10 nm (idealised)",
        doi="10.1038/nature06932",
        measured="nothing: the paper's figure 2b is a simulation",
        numbers="recalled",
        volts=1.0,
        notes=("A positive voltage SETs. No window: the state is held at 0 and 1.",),
    )
)
def strukov2008(window: AbstractWindow | None = None) -> LinearIonDrift:
    """Linear ion drift with the numbers of Strukov et al. (2008): R_off/R_on = 160, mobility 1e-14 m^2/Vs, 10 nm.

    Its natural time is `D^2 / (mobility x 1 V)` = 10 ms: a 1 V sine of period far below 10 ms x 160 leaves the state
    in place, and the loop closes to a straight line.
    """
    return LinearIonDrift(
        r_on=100.0,
        r_off=16e3,
        mobility=1e-14,
        thickness=10e-9,
        start=0.1,
        window=NoWindow() if window is None else window,
    )
