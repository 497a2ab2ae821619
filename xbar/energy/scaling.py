"""CMOS switching energy between technology nodes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from xbar.energy.units import concrete, interpolate

# Energy of a logic gate against supply, p(V) = a V^2 + b V + c, in units common to all rows.
# [R] accelergy-library-plug-in/scaling.py, from Stillmaker & Baas, Integration 58 (2017) 74,
# doi:10.1016/j.vlsi.2017.02.002. Columns: node [nm], a, b, c, nominal supply [V].
# Nominal supplies: [L] predictive technology models, bulk HP (130-32 nm) and multi-gate HP (20-7 nm).
_TABLE = np.array(
    [
        [7, 0.1776, -0.09097, 0.02447, 0.70],
        [10, 0.2068, -0.09311, 0.02375, 0.75],
        [14, 0.2363, -0.09675, 0.02239, 0.80],
        [16, 0.2958, -0.1241, 0.03024, 0.85],
        [20, 0.3730, -0.1582, 0.04104, 0.90],
        [32, 0.9559, -0.7823, 0.4710, 0.90],
        [45, 1.103, -0.3620, 0.2767, 1.00],
        [65, 3.755, -4.398, 1.975, 1.10],
        [90, 4.762, -4.781, 2.092, 1.20],
        [130, 7.171, -6.709, 2.904, 1.30],
    ]
)
_LOG_NODE = np.log(_TABLE[:, 0] * 1e-9)

SUPPLY_NOTE = "nominal supplies per node (1.3 V at 130 nm ... 0.7 V at 7 nm) are recalled [L], not read"


def nominal_supply(node: ArrayLike) -> Float[Array, "*_"]:
    """Nominal supply voltage of a node, interpolated in log(node).

    Args:
        node: technology node [m].

    Returns:
        Supply [V]. Recalled values [L]; 32 and 20 nm share 0.9 V.
    """
    return interpolate(jnp.log(node), _LOG_NODE, _TABLE[:, 4])


def _log_gate_energy(node: ArrayLike, supply: ArrayLike | None) -> jax.Array:
    volts = _TABLE[:, 4] if supply is None else jnp.asarray(supply)
    polynomial = _TABLE[:, 1] * volts**2 + _TABLE[:, 2] * volts + _TABLE[:, 3]
    return interpolate(jnp.log(node), _LOG_NODE, jnp.log(polynomial))


def energy_scale(node_from: ArrayLike, node_to: ArrayLike, supply_to: ArrayLike | None = None) -> Float[Array, "*_"]:
    """Factor by which the energy of a digital operation changes from one node to another.

        E(to) / E(from) = p_to(V_to) / p_from(V_from),    p = a V^2 + b V + c

    ln p is interpolated linearly in ln(node) between the ten tabulated nodes. Each end is taken at its own
    nominal supply, where p rises strictly with the node, so the interpolation is monotone; at one common
    supply p is monotone only for 0.5 V and above (45 nm falls below 32 nm at 0.4 V).

    Args:
        node_from: node at which the energy is known [m]; a scalar.
        node_to: node wanted [m]; a scalar.
        supply_to: supply at `node_to` [V]; None for the nominal supply of that node.

    Returns:
        Ratio of energies [1].

    Reference: Stillmaker & Baas, Integration 58 (2017) 74, doi:10.1016/j.vlsi.2017.02.002.

    Breaks when: a node lies outside 7-130 nm (the end value is held) or the supply outside 0.6-1.3 V, where
    the fitted parabolas turn upwards; `scaling_notes` says so.
    """
    return jnp.exp(_log_gate_energy(node_to, supply_to) - _log_gate_energy(node_from, None))


# Area of a gate against 32 nm. [R] accelergy-library-plug-in/scaling.py, from Stillmaker & Baas 2017; nodes of `_TABLE`.
_AREA = np.array([0.13, 0.22, 0.38, 0.41, 0.46, 1.0, 2.2, 3.3, 6.1, 14.0])


def area_scale(node_from: ArrayLike, node_to: ArrayLike) -> Float[Array, "*_"]:
    """Factor by which the area of logic changes from one node [m] to another; ln(area) is linear in ln(node) between nodes.

    Reference: Stillmaker & Baas, Integration 58 (2017) 74, doi:10.1016/j.vlsi.2017.02.002.

    Breaks when: a node lies outside 7-130 nm (the end value is held); for memory cells and analog circuits.
    """
    log_area = lambda node: interpolate(jnp.log(node), _LOG_NODE, np.log(_AREA))  # noqa: E731
    return jnp.exp(log_area(node_to) - log_area(node_from))


def scaling_notes(node: ArrayLike, supply: ArrayLike | None = None) -> tuple[str, ...]:
    """What a reader must know about digital energies scaled to this node; traced values are not checked."""
    notes = [SUPPLY_NOTE] if supply is None else []
    nanometres, volts = concrete(node), concrete(supply)
    if nanometres is not None and not 6.999e-9 <= nanometres <= 130.1e-9:
        notes.append(f"node {nanometres * 1e9:.3g} nm is outside the scaling law (7-130 nm): end value held")
    if volts is not None and not 0.6 <= volts <= 1.3:
        notes.append(f"supply {volts:.3g} V is outside the scaling polynomials (0.6-1.3 V): extrapolated")
    return tuple(notes)
