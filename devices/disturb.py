"""What pulses and reads that are not meant for a cell do to it, in shares of its own steps."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
from jaxtyping import Array, Float

from devices._checks import Law, Number, chance

_SHARE = Number(low=-1.0, high=1.0)


class Worth(NamedTuple):
    """Pulses up and down that a disturbance is equivalent to: real numbers, for each cell."""

    up: Float[Array, "*cells"]
    down: Float[Array, "*cells"]


class Disturb(Law):
    """The share of a step of its own pulse law that a cell makes during a pulse or read that is not meant to move it.

    $$ g' = A_n(g), \\qquad n = \\sum_k r_k n_k $$

    with `A_n` the law's mean response to n pulses, n any real number: `n_k` times the share `r_k`. Cells of a
    device without this law are not disturbed.

    Args:
        half_up, half_down: share by a pulse up, and down, of half the voltage. third_up, third_down: of a third of it.
        heat: additional share for each of the four nearest cells on the lines of a pulsed cell, in the same direction,
            because it is warm. read: share by one read at full voltage; below 0 it makes the cell less conductive.

    `devices.compact.disturbance` finds the shares of a compact model. Halves and thirds occur in passive arrays
    (`xbar.Chip.pulse(select=)`, `insitu.Drive(select=)`); behind a transistor that is off, a cell sees no voltage but
    is warmed.

    Reference: V/2 and V/3 schemes: Chen 2013, 10.1109/TED.2013.2246791 (recalled, not read); warm neighbours: Schoen, Menzel
    2023, 10.1002/adfm.202213943 (abstract); reads: Xun et al. 2025, 10.1109/ETS63895.2025.11049639 (abstract: failures after
    8,000 reads), Yao et al. 2020, 10.1038/s41586-020-1942-4 (Extended Data Fig. 7: 1e6 reads of 0.2 V).

    Breaks when: the share depends on the state in another way than the step; heat builds up over pulses, or reaches
    second neighbours.
    """

    half_up: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    half_down: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    third_up: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    third_down: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    heat: Float[Array, ""] = eqx.field(converter=chance, default=0.0)
    read: Float[Array, ""] = eqx.field(converter=_SHARE, default=0.0)
