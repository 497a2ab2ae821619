"""Potentiation against depression: the short-term memory of nanowire memristors."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from devices.catalogue import Provenance, published
from devices.compact.base import AbstractMemristor


class RateBalance(AbstractMemristor):
    """A volatile analogue synapse: a voltage of either sign builds the conductance up, and without it the conductance decays.

    $$ \\dot x = k_P (1 - x) - k_D\\,x, \\quad k_P = k_{P0}\\,e^{\\eta_P |v|}, \\quad k_D = k_{D0}\\,e^{-\\eta_D |v|}, \\qquad
    i = [g_{min} + (g_{max} - g_{min})\\,x]\\,v $$

    The rate is linear in `x`, so a step at a frozen voltage is exact: potentiation, saturation at `k_P / (k_P + k_D)` and the
    exponential relaxation at 0 V.

    Args:
        kp, kd: potentiation and depression rates at 0 V [1/s]. eta_p, eta_d: their transition slopes [1/V].
        g_min, g_max: conductances at x = 0 and 1 [S]. x0: state at the start.

    Reference: Miranda, Milano, Ricciardi, IEEE Trans. Nanotechnol. 19, 609 (2020), 10.1109/TNANO.2020.3009734
    (recalled, not read).

    Breaks when: the relaxation is not one exponential; in float32 beyond 80 / `eta_p`.
    """

    kp: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    kd: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    eta_p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    eta_d: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    g_min: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    g_max: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    x0: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=0.0)

    def current(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return (self.g_min + (self.g_max - self.g_min) * x) * v

    def derivative(self, x: Float[Array, "*#cells"], v: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        size = jnp.abs(v)
        return self.kp * jnp.exp(self.eta_p * size) * (1 - x) - self.kd * jnp.exp(-self.eta_d * size) * x

    @property
    def bounds(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.asarray(0.0), jnp.asarray(1.0)

    @property
    def initial(self) -> Float[Array, "*cells"]:
        return self.x0


@published(
    Provenance(
        name="milano2022_nanowires",
        technology="Ag nanowire network, one edge of a 21 x 21 grid that stands for it",
        doi="10.1038/s41563-021-01099-9",
        also=("10.1109/TNANO.2020.3009734",),
        measured="a 10 ms pulse of 5 V between pads of one network and the relaxation after it",
        volts=5.0,
        notes=(
            "Fitted as an edge of a grid of 21 x 21 nodes with random diagonals, which shares the pads' 5 V: a "
            "single cell at a few "
            "tenths of a volt, not a device at 5 V.",
        ),
    )
)
def milano2022_nanowires() -> RateBalance:
    """One edge of Milano's self-organising nanowire network: potentiates within 10 ms at 0.5 V, relaxes in 15 ms.

    Checked: MilanoGianluca/Nanowire_Network_Reservoir_Computing (Fig_3_4) and Grid-Graph_Modeling_Memristive_Nanonetworks.
    """
    return RateBalance(
        kp=2.555173332603108574e-6,
        kd=64.88388862524891465,
        eta_p=34.92155165334443012,
        eta_d=5.590601016803570467,
        g_min=1.014708121672117710e-3,
        g_max=2.723493729125820492e-3,
    )
