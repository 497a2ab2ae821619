"""The data-driven ReRAM model of Southampton: the state is the measured resistance itself."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor


class DataDriven(AbstractMemristor):
    """A cell whose state is its resistance R [ohm], driven towards a boundary that depends on the voltage, and no further.

    $$ \\dot R = A (e^{t|v|} - 1)(e^{k d} - 1), \\qquad d = \\max(\\pm(r(v) - R), 0), \\quad r(v) = r_0 + r_1 v + r_2
    v^2, \\qquad
    i = a \\sinh(b v) / R $$

    with one set of `A, t, k, r, a, b` for v > 0 and one for v < 0; the sign before the bracket is that of A: A > 0
    raises R up to
    r(v), A < 0 lowers it down to r(v). A step at a frozen voltage is exact:
    `e^{-k d(t)} = 1 + (e^{-k d(0)} - 1) e^{-k |A| (e^{t|v|} - 1) t}`.
    In the published TiOx sets a POSITIVE voltage RESETs (raises R).

    Args:
        rate_p, rate_n: A [ohm/s]. slope_p, slope_n: t [1/V]. k_p, k_n: [1/ohm].
        r_p, r_n: (r0, r1, r2) [ohm, ohm/V, ohm/V2], lowest order first and the voltage with its sign.
        a_p, a_n: [A ohm]. b_p, b_n: [1/V]. r_low, r_high: range of R [ohm]. r_start: R at the start.

    Reference: Messaris et al., IEEE TCAD 37, 3151 (2018), 10.1109/TCAD.2018.2791468.

    Breaks when: the resistance depends on how it was reached, or relaxes; outside the range of R and v of the pulse data.
    """

    rate_p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    rate_n: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    slope_p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    slope_n: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    k_p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    k_n: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_p: tuple[Float[Array, "*cells"], ...] = eqx.field(converter=lambda r: tuple(map(jnp.asarray, r)))
    r_n: tuple[Float[Array, "*cells"], ...] = eqx.field(converter=lambda r: tuple(map(jnp.asarray, r)))
    a_p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    a_n: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    b_p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    b_n: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_low: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_high: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    r_start: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        up = v >= 0
        return jnp.where(up, self.a_p, self.a_n) * jnp.sinh(jnp.where(up, self.b_p, self.b_n) * v) / x

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        sign, speed, k, distance = self._drive(x, v)
        return sign * speed * jnp.expm1(k * distance)

    def step(
        self,
        x: Float[Array, "*#cells"],
        v: Float[Array, "*#cells"],
        dt: Float[Array, ""],
        *,
        key: PRNGKeyArray | None = None,
    ) -> Float[Array, "*cells"]:
        sign, speed, k, distance = self._drive(x, v)
        passed = k * speed * dt
        left = -jnp.log(jnp.exp(-k * distance - passed) - jnp.expm1(-passed)) / k
        return jnp.clip(x + sign * (distance - left), *self.bounds)

    def _drive(self, x, v):
        """Direction, `|A| (e^{t|v|} - 1)`, k and the distance d to the boundary."""
        up = v >= 0
        rate = jnp.where(up, self.rate_p, self.rate_n)
        speed = jnp.abs(rate) * jnp.expm1(jnp.where(up, self.slope_p, self.slope_n) * jnp.abs(v))
        boundary = jnp.where(up, _polynomial(self.r_p, v), _polynomial(self.r_n, v))
        sign = jnp.sign(rate)
        return sign, speed, jnp.where(up, self.k_p, self.k_n), jnp.maximum(sign * (boundary - x), 0)

    @property
    def bounds(self) -> tuple[Float[Array, "*cells"], Float[Array, "*cells"]]:
        return self.r_low, self.r_high

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.r_start


def _polynomial(coefficients, v):
    total = jnp.zeros_like(v)
    for c in reversed(coefficients):
        total = total * v + c
    return total


@published(
    Provenance(
        name="messaris_memtorch",
        technology="Pt/TiOx/Pt, more resistive at positive voltage",
        doi="10.1109/TCAD.2018.2791468",
        measured="trains of 100 us pulses of 0.6 to 0.8 V and from -0.6 V on one device; published RMS error 2.18 %",
        volts=0.8,
        notes=(
            "The read-out (a = 0.24, b = 3 1/V) is that of the paper's other TiOx device, rounded; this one has no "
            "published I-V.",
            "The resistances of the pulse data lie between 10 and 17 kohm; the lower end, 1280 ohm, is MemTorch's choice.",
        ),
    )
)
def messaris_memtorch() -> DataDriven:
    """Southampton's TiOx device 2 with the defaults of MemTorch: 10 to 17 kohm in the data, hundreds of pulses from end
    to end.

    Checked: coreylammie/MemTorch (Data_Driven.py) against Table II of the paper, device 2, whose values it repeats with
    more digits.
    """
    return DataDriven(
        rate_p=743.47,
        rate_n=-68012.28374,
        slope_p=6.51,
        slope_n=0.31645,
        k_p=5.11e-4,
        k_n=1.17e-3,
        r_p=(16719.0, 0.0),
        r_n=(29304.82557, 23692.77225),
        a_p=0.24,
        a_n=0.24,
        b_p=3.0,
        b_n=3.0,
        r_low=1280.0,
        r_high=17e3,
        r_start=1280.0,
    )


@published(
    Provenance(
        name="messaris_tiox",
        technology="Pt/TiOx/Pt, more resistive at positive voltage",
        doi="10.1109/TCAD.2018.2791468",
        measured="trains of 100 us pulses of -1.2 to -1.5 V and from 1.7 V, and I-V, of one device; published error 0.52 %",
        volts=1.7,
        notes=("The range of R is that of the pulse data, 4.5 to 6 kohm.",),
    )
)
def messaris_tiox() -> DataDriven:
    """Southampton's TiOx device 1: a small window, 4.5 to 6 kohm, whose ends move with the voltage.

    Read: Tables I and II of the paper, device 1.
    """
    return DataDriven(
        rate_p=0.12,
        rate_n=-79.03,
        slope_p=0.59,
        slope_n=1.12,
        k_p=8.10e-3,
        k_n=9.43e-3,
        r_p=(3085.0, 1862.0),
        r_n=(5193.0, 378.0),
        a_p=0.24,
        a_n=0.24,
        b_p=2.81,
        b_n=2.81,
        r_low=4500.0,
        r_high=6000.0,
        r_start=5000.0,
    )
