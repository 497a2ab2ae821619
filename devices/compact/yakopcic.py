"""The generalised memristor of Yakopcic and the devices it was fitted to."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor


class Yakopcic(AbstractMemristor):
    """A hyperbolic-sine conductor whose state moves once the voltage passes a threshold and slows near its ends.

    $$ i = a_{1,2}\\,x \\sinh(b v), \\qquad \\dot x = \\eta\\,g(v) f(x, v) $$

    with `a_1` for v >= 0 and `a_2` below, `g = A_p (e^v - e^{V_p})` above `V_p`, `-A_n (e^{-v} - e^{V_n})` below `-V_n`, 0
    between, and `f = exp(-alpha d) (1 - d / (1 - x_k))`, where `d` is how far the state is beyond `x_p` (moving up) or below
    `1 - x_n` (moving down), 0 before that.

    Args:
        a1, a2: current of a full state at `sinh = 1`, positive and negative side [A]. b: [1/V].
        ap, an: speeds [1/s]; voltages in their exponentials are in units of 1 V. vp, vn: thresholds, both positive [V].
        xp, xn: where the motion starts to slow, up and down (< 1). alpha_p, alpha_n: how fast it slows.
        x0: state at the start. eta: 1 if positive voltage raises the state, -1 if it lowers it.

    Reference: Yakopcic et al., IEEE TCAD 32, 1201 (2013), 10.1109/TCAD.2013.2252057.

    Breaks when: the temperature, the read-out in the low state (no current at x = 0) or times far from those of the fit
    matter: below threshold the state never moves.
    """

    a1: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    a2: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    b: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    ap: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    an: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    vp: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    vn: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    xp: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    xn: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    alpha_p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    alpha_n: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    x0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    eta: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.0)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return jnp.where(v >= 0, self.a1, self.a2) * x * jnp.sinh(self.b * v)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        up = self.ap * jnp.maximum(jnp.exp(v) - jnp.exp(self.vp), 0)
        down = self.an * jnp.maximum(jnp.exp(-v) - jnp.exp(self.vn), 0)
        rising = _slowed(x - self.xp, self.alpha_p, self.xp)
        falling = _slowed(1 - self.xn - x, self.alpha_n, self.xn)
        return self.eta * (up - down) * jnp.where(self.eta * v >= 0, rising, falling)

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.x0


def _slowed(beyond, alpha, start):
    """1 before `start`; from there an exponential times a straight line to 0 at the end of the range."""
    beyond = jnp.maximum(beyond, 0)
    return jnp.exp(-alpha * beyond) * (1 - beyond / (1 - start))


_OBLEA = dict(b=0.05, ap=4000.0, an=4000.0, vp=0.16, vn=0.15, xp=0.3, xn=0.5, alpha_p=1.0, alpha_n=5.0)
_FITTED = (
    "Numbers of the parameter table of the model's paper, read in public programs that reproduce it; the curves they "
    "were fitted to "
    "are digitised from the device's paper.",
)


@published(
    Provenance(
        name="yakopcic_oblea2010",
        technology="Ag-chalcogenide, 100 Hz sine of 0.45 V",
        doi="10.1109/TCAD.2013.2252057",
        also=("10.1109/IJCNN.2010.5596775",),
        measured="one sinusoidal I-V loop of one device",
        volts=0.45,
        notes=_FITTED,
    )
)
def yakopcic_oblea2010() -> Yakopcic:
    """Boise State's silver-chalcogenide memristor under a sine, after Yakopcic.

    At 0.45 V and 100 Hz: a pinched loop of a few milliamperes that closes as the frequency rises.
    Checked: knowm/memristor-models-4-all (Xyce example), thomastiotto/Memristor-Models. The LTspice file of the former
    ships thresholds of 0.65 and 0.56 V instead of 0.16 and 0.15 V, which it keeps in a comment.
    """
    return Yakopcic(a1=0.17, a2=0.17, x0=0.11, **_OBLEA)


@published(
    Provenance(
        name="yakopcic_oblea2010_pulsed",
        technology="Ag-chalcogenide, repeated 0.25 V triangles",
        doi="10.1109/TCAD.2013.2252057",
        also=("10.1109/IJCNN.2010.5596775",),
        measured="repeated triangular sweeps of one device",
        volts=0.25,
        notes=_FITTED,
    )
)
def yakopcic_oblea2010_pulsed() -> Yakopcic:
    """The same silver-chalcogenide memristor under repeated triangles of one sign: each takes the conductance a step further.

    Checked: thomastiotto/Memristor-Models.
    """
    return Yakopcic(a1=0.097, a2=0.097, x0=0.001, **_OBLEA)


@published(
    Provenance(
        name="yakopcic_miao2011",
        technology="TaOx, 0.05 Hz triangle of 0.75 and -1.25 V",
        doi="10.1109/TCAD.2013.2252057",
        also=("10.1002/adma.201103379",),
        measured="one triangular I-V loop of one device",
        volts=1.25,
        notes=_FITTED,
    )
)
def yakopcic_miao2011() -> Yakopcic:
    """HP's tantalum-oxide memristor, after Yakopcic: milliampere loops, set from 0.09 V, reset from -0.75 V.

    Checked: thomastiotto/Memristor-Models.
    """
    return Yakopcic(
        a1=0.11, a2=0.11, b=0.5, ap=7.5, an=2.0, vp=0.09, vn=0.75, xp=0.3, xn=0.5, alpha_p=1.0, alpha_n=5.0, x0=0.11
    )


@published(
    Provenance(
        name="yakopcic_jo2010",
        technology="Ag:a-Si, repeated 4 V then -2 V triangles of 5 s",
        doi="10.1109/TCAD.2013.2252057",
        also=("10.1021/nl904092h",),
        measured="repeated triangular sweeps of one device",
        volts=4.0,
        notes=_FITTED,
    )
)
def yakopcic_jo2010() -> Yakopcic:
    """Michigan's silver / amorphous-silicon synapse, after Yakopcic: sub-microampere, a step up or down with each sweep.

    Checked: thomastiotto/Memristor-Models.
    """
    return Yakopcic(
        a1=3.7e-7,
        a2=4.35e-7,
        b=0.7,
        ap=0.005,
        an=0.08,
        vp=1.5,
        vn=0.5,
        xp=0.2,
        xn=0.5,
        alpha_p=1.2,
        alpha_n=3.0,
        x0=0.1,
    )
