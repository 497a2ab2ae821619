"""When events cost what a frame costs: the closed form, and where two curves of energy meet."""

from __future__ import annotations

import math

import numpy as np


def matched_bits(steps: int) -> int:
    """Bits of a number with as many levels as the count of spikes in `steps` steps has: ceil(log2(T + 1))."""
    return math.ceil(math.log2(steps + 1))


def break_even_rate(steps: int, product_bits: int = 8) -> float:
    """Spike rate below which events win where an event costs what a product of `product_bits` bits costs, and the frame's
    product of b bits costs b / product_bits of it:

        r* = ceil(log2(T + 1)) / (product_bits T)

    With 8 bits, T = 5 to 10: 7.50, 6.25, 5.36, 6.25, 5.56, 5.00 % (a study in the library spyx).
    """
    return matched_bits(steps) / (product_bits * steps)


def crossing(rates: np.ndarray, events: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Rate at which the energy of events reaches that of the frame, linear between rates; 0 where it is above from the
    start, infinite where it never gets there.

    Args:
        rates: increasing. events: energies `(rates, samples)` [J]. frame: `(samples,)` [J].
    """
    above = events >= frame
    first = np.argmax(above, 0)
    found = np.empty(len(frame))
    for s, i in enumerate(first):
        if not above[:, s].any():
            found[s] = np.inf
        elif i == 0:
            found[s] = rates[0]
        else:
            low, high = events[i - 1, s], events[i, s]
            found[s] = rates[i - 1] + (rates[i] - rates[i - 1]) * (frame[s] - low) / (high - low)
    return found
