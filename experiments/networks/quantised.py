"""The digital integer baseline: a network with weights and activations of a few bits."""

from __future__ import annotations

from typing import Any

import devices
import xbar

LINES = 8192  # of the largest matrix that gets one scale per channel


def integer_network(f: Any, params: Any, inputs: Any, *, key: Any, bits: int = 8) -> xbar.Chip:
    """A network whose products are integer products: call it as `network(inputs)`.

    $$ w_q = \\frac{s_c}{L} \\mathrm{round}(L w / s_c), \\qquad
       x_q = \\frac{r}{L} \\mathrm{round}(L \\mathrm{clip}(x / r, -1, 1)), \\qquad L = 2^{b-1} - 1 $$

    Symmetric, `s_c` the largest magnitude of an output channel's weights, `r` the largest of a layer's activations in the
    calibration inputs; sums, biases and everything between products are exact. It is `xbar.analog` on a cell of `2^(b-1)`
    exact conductances with converters at the inputs alone, so everything that maps to arrays has such a baseline.

    Args:
        f, params: the network, `f(params, inputs)`. inputs: a batch to calibrate on. bits: of weights and activations.

    Breaks when: a matrix has more than 8192 rows: parts of it get scales of their own.
    """
    import jax.numpy as jnp

    from devices.programming import QuantisedProgramming

    top = 1e-4  # S; any would do
    cell = devices.Device(0.0, top, programming=QuantisedProgramming(jnp.linspace(0, top, 2 ** (bits - 1))))
    tile = xbar.Tile(cell, LINES, LINES, dac=xbar.DAC(bits=bits), adc=xbar.ADC(bits=None), pack_groups=False)
    chip = xbar.analog(f, tile).program(params, inputs[:1], key=key)
    return xbar.calibrate(chip, inputs, method="max")
