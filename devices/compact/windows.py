"""Windows: how a state slows down near the ends of its range."""

from __future__ import annotations

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractWindow(eqx.Module):
    """A factor `f(x, u)` on the rate of a state `x` in [0, 1]; a positive drive `u` (current [A] or voltage [V])
    moves `x` up."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        """Factor on the rate at the state `x` under the drive `u`."""


class NoWindow(AbstractWindow):
    """No window: full rate up to the ends, where the state is held.

    $$ f = 1 $$
    """

    def __call__(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return jnp.ones(jnp.broadcast_shapes(x.shape, u.shape), x.dtype)


class Joglekar(AbstractWindow):
    """Joglekar's window, 0 at both ends.

    $$ f = 1 - (2x - 1)^{2p} $$

    Args:
        p: flatness; 1 is a parabola, infinity no window.

    Reference: Joglekar, Wolf, Eur. J. Phys. 30, 661 (2009), 10.1088/0143-0807/30/4/001 (recalled, not read).

    Breaks when: the state reaches 0 or 1. The rate is 0 there for both polarities, so the cell is stuck for ever.
    """

    p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.0)

    def __call__(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return 1 - power((2 * x - 1) ** 2, self.p) + 0 * u


class Biolek(AbstractWindow):
    """Biolek's window: 0 only at the end the state moves to, so that nothing gets stuck.

    $$ f = 1 - (x - H(-u))^{2p}, \\qquad H(-u) \\approx \\frac{1}{1 + e^{u/s}} $$

    Args:
        p: flatness. width: `s`, the drive over which the step is smoothed [unit of u]; well below the drives in use.
            The published window has a jump at 0, which has no useful gradient.

    Reference: Biolek, Biolek, Biolkova, Radioengineering 18, 210 (2009) (no DOI; recalled, not read).
    """

    p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.0)
    width: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1e-6)

    def __call__(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return 1 - power((x - jax.nn.sigmoid(-u / self.width)) ** 2, self.p)


class Prodromakis(AbstractWindow):
    """Prodromakis' window, with a height that may exceed 1.

    $$ f = j\\,\\{1 - [(x - 1/2)^2 + 3/4]^p\\} $$

    Args:
        p: flatness, > 0, not only integers. j: height.

    Reference: Prodromakis et al., IEEE Trans. Electron Devices 58, 3099 (2011), 10.1109/TED.2011.2158004 (recalled,
    not read).

    Breaks when: the state reaches 0 or 1, like Joglekar's.
    """

    p: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.0)
    j: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray, default=1.0)

    def __call__(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return self.j * (1 - power((x - 0.5) ** 2 + 0.75, self.p)) + 0 * u


class Linear(AbstractWindow):
    """Falls linearly towards the end the state moves to, so that ends are approached exponentially.

    $$ f = 1 - x \\text{ for } u > 0, \\qquad f = x \\text{ for } u < 0 $$

    Breaks when: the law drives the state at u = 0 too, where the window jumps; threshold laws do not.
    """

    def __call__(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        return jnp.where(u > 0, 1 - x, x)


class Exponential(AbstractWindow):
    """The window of the TEAM paper, after the double exponential of the Simmons tunnel barrier.

    $$ f = \\exp[-e^{(x - a_{up})/c}] \\text{ for } u > 0, \\qquad f = \\exp[-e^{(a_{down} - x)/c}] \\text{ for } u < 0 $$

    Args:
        up: where the motion up slows down, as a fraction of the range. down: where the motion down does. scale: `c`,
            likewise a fraction.

    Reference: Kvatinsky et al., IEEE Trans. Circuits Syst. I 60, 211 (2013), 10.1109/TCSI.2012.2215714 (recalled, not
    read).
    """

    up: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    down: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)
    scale: Float[Array, "*cells"] = eqx.field(converter=jnp.asarray)

    def __call__(self, x: Float[Array, "*#cells"], u: Float[Array, "*#cells"]) -> Float[Array, "*cells"]:
        beyond = jnp.where(u > 0, x - self.up, self.down - x) / self.scale
        return jnp.exp(-jnp.exp(jnp.minimum(beyond, 30.0)))  # past 30 the factor is 0 in any dtype


def power(base: Float[Array, "*#any"], exponent: Float[Array, "*#any"]) -> Float[Array, "*any"]:
    """`base ** exponent`, 0 with finite derivatives where `base <= 0` or so small that its third inverse overflows."""
    positive = base > jnp.cbrt(jnp.finfo(jnp.result_type(base)).tiny)
    return jnp.where(positive, jnp.exp(exponent * jnp.log(jnp.where(positive, base, 1))), 0)
