"""Read noise: the variance of a conductance from one read to the next."""

from __future__ import annotations

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from devices.base import AbstractReadNoise
from devices.curves import Curve, as_curve


class NoReadNoise(AbstractReadNoise):
    """Every read of a cell gives the same conductance."""

    silent: ClassVar[bool] = True

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, ""], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        return jnp.zeros_like(g)


class WhiteReadNoise(AbstractReadNoise):
    """White read noise.

    $$ \\mathrm{var} = V(g / g_{max})\\, B / B_0 $$

    Args:
        variance: `V`, the variance [S^2] at the reference bandwidth: a number or a curve of `g / g_max`.
        g_max: normalisation [S].
        bandwidth: `B_0`, the noise bandwidth at which `variance` was measured [Hz].

    Breaks when: the noise is coloured, so that averaging longer helps less than this says.
    """

    variance: Curve = eqx.field(converter=as_curve)
    g_max: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    bandwidth: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def __call__(
        self, g: Float[Array, "*cells"], z: Any, t: Float[Array, ""], bandwidth: Float[Array, ""]
    ) -> Float[Array, "*cells"]:
        return self.variance(g / self.g_max) * bandwidth / self.bandwidth


class OneOverFNoise(AbstractReadNoise):
    """1/f noise accumulated since programming.

    $$ \\mathrm{var} = (g Q(x))^2 \\int_{1/(\\tau + t_r)}^{1/2t_r} \\frac{df}{f}
       = (g Q(x))^2 \\ln\\frac{\\tau + t_r}{2 t_r}, \\quad \\tau = t + t_0, \\; t_r = \\frac{1}{2B},
       \\; x = g_0 / g_{max} $$

    `g_0` is the conductance just after programming: the state sets the noise amplitude, and drift scales both.

    Args:
        q: relative noise amplitude `Q`: a number or a curve of `g_0 / g_max`.
        g_max: normalisation [S].
        t0: time from the programming pulse to `t = 0` [s].

    Reference: Nandakumar et al. 2019, 10.1109/ICECS46596.2019.8964852 (Q and the integral, for PCM).

    Breaks when: reads follow each other quickly: successive reads are drawn independently here, while real 1/f
    noise moves slowly. A read shorter than half the age of the cell is assumed.
    """

    q: Curve = eqx.field(converter=as_curve)
    g_max: Float[Array, ""] = eqx.field(converter=jnp.asarray)
    t0: Float[Array, ""] = eqx.field(converter=jnp.asarray)

    def latents(self, programmed: Float[Array, "*cells"], *, key: PRNGKeyArray) -> Float[Array, "*cells"]:
        return programmed

    def __call__(
        self,
        g: Float[Array, "*cells"],
        z: Float[Array, "*cells"],
        t: Float[Array, ""],
        bandwidth: Float[Array, ""],
    ) -> Float[Array, "*cells"]:
        decades = jnp.log(jnp.maximum(bandwidth * (t + self.t0) + 0.5, 1.0))
        return (g * self.q(z / self.g_max)) ** 2 * decades
