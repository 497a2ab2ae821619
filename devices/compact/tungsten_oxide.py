"""The tungsten-oxide memristor of Michigan: a synapse that forgets."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor


class TungstenOxide(AbstractMemristor):
    """Schottky emission in parallel with tunnelling: the voltage converts area from one to the other, diffusion reverts
    it.

    $$ i = (1 - x)\\,\\alpha (1 - e^{-\\beta v}) + x\\,\\gamma \\sinh(\\delta v), \\qquad
    \\dot x = \\lambda\\eta_1 \\sinh(\\eta_2 v) - x / \\tau $$

    The rate is linear in `x`, so a step at a frozen voltage is exact until the state meets its end, 0 or 1.

    Args:
        alpha: [A]. beta: [1/V]. gamma: [A]. delta: [1/V].
        speed: `lambda eta_1` [1/s]. eta: `eta_2` [1/V]. tau: time in which the state diffuses away [s]; `jnp.inf`: it stays.
        x0: state at the start.

    Reference: Chang et al., Appl. Phys. A 102, 857 (2011), 10.1007/s00339-011-6296-1.

    Breaks when: the forgetting slows down as it goes on (stretched exponentials, long-term memory after many pulses).
    """

    alpha: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    beta: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    gamma: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    delta: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    speed: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    eta: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    tau: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    x0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return -(1 - x) * self.alpha * jnp.expm1(-self.beta * v) + x * self.gamma * jnp.sinh(self.delta * v)

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.speed * jnp.sinh(self.eta * v) - x / self.tau

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.x0


@published(
    Provenance(
        name="chang_wox",
        technology="Pd/WOx/W",
        doi="10.1007/s00339-011-6296-1",
        measured="slow I-V loops of one device; the numbers are those of a circuit model that reproduces it",
        volts=1.5,
        notes=(
            "The circuit model ships with the decay switched off; here it is on. With it off: tau=jnp.inf.",
            "The circuit model multiplies the decay by lambda = 4.5 as well, so that its tau of 10 s means 2.2 s: "
            "that is kept.",
        ),
    )
)
def chang_wox() -> TungstenOxide:
    """Michigan's tungsten-oxide synapse: each pulse of 1.5 V adds conductance, which decays in 2.2 s.

    Checked: knowm/memristor-models-4-all, University_of_Michigan/LTSpice (lambda 4.5, eta1 0.004 1/s, eta2 4 1/V, tau 10 s).
    """
    return TungstenOxide(alpha=0.5e-6, beta=0.5, gamma=4e-6, delta=2.0, speed=4.5 * 0.004, eta=4.0, tau=10.0 / 4.5)
