"""Random numbers for many cells: a counter-based generator that fuses with the code that uses it.

JAX's default generator (Threefry) takes twice as long as turning its bits into normals, and draws are most of what a noisy
product or a fresh chip costs on a CPU. Keys stay JAX's own, with its `split` and `fold_in`; only the bits of a draw come
from here: number `i` of a stream is a hash of `i` and of 64 bits that Threefry makes of the key.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

DRAW = "draw"  # the name of normals, for `jax.checkpoint_policies.save_only_these_names`

# (z / u)^2 as a polynomial of -ln(1 - u^2), ascending: minimax fit of the relative error on 0 .. 15.95 to SciPy's ndtri
_SQUARED_RATIO = (
    1.5708941373, 0.82213307292, 0.1473963165, 0.005371625396, -0.0045048536355, 0.0006480619822, -4.5789000363e-05,
    1.6495692684e-06, -2.4186094177e-08,
)  # fmt: skip


def unit_normals(key: PRNGKeyArray, like: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
    """Unit normals of the shape and dtype of `like`, always drawn in float32 so that dtype does not change a chip.

    $$ z_i = \\sqrt2\\,\\mathrm{erf}^{-1}(u_i) = u_i \\sqrt{P(w_i)}, \\qquad w = -\\ln(1 - u^2) $$

    with u uniform on (-1, 1). P is nearly a straight line: a polynomial of degree 8 gives z to a relative 3.2e-5, which a test
    of the distribution would need more than 1e9 draws to see, for one logarithm and one root.

    Breaks when: tails beyond 5.3 standard deviations matter (one draw in 1e7); float32 has no `u` between the last one and 1.
    """
    return _normals(bits(key, like.shape), like)


def unit_normals_at(
    key: PRNGKeyArray, like: Float[Array, "*cells"], places: UInt32[Array, "*cells"]
) -> Float[Array, "*cells"]:
    """Part of a longer draw of `unit_normals`: its elements number `places`."""
    return _normals(_words(key, places), like)


def _normals(words: UInt32[Array, "*cells"], like: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
    signed = lax.bitcast_convert_type(words, jnp.int32).astype(jnp.float32) * 2.0**-31
    u = jnp.clip(signed, -(1 - 2.0**-24), 1 - 2.0**-24)
    w = -jnp.log((1 - u) * (1 + u))
    ratio = jnp.full_like(w, _SQUARED_RATIO[-1])
    for c in _SQUARED_RATIO[-2::-1]:
        ratio = ratio * w + c
    return checkpoint_name((u * jnp.sqrt(ratio)).astype(like.dtype), DRAW)


def unit_uniforms(key: PRNGKeyArray, like: Float[Array, "*cells"]) -> Float[Array, "*cells"]:
    """Uniforms on [0, 1) of the shape and dtype of `like`, multiples of 2^-24, always drawn in float32."""
    return ((bits(key, like.shape) >> 8).astype(jnp.float32) * 2.0**-24).astype(like.dtype)


def bits(key: PRNGKeyArray, shape: tuple[int, ...]) -> UInt32[Array, "..."]:
    """Uniform 32-bit words, the first of the key's stream.

    $$ x_i = m(y_i \\oplus k_1) + y_i, \\qquad y_i = m(i \\oplus k_0) $$

    with `m` a mixing function whose every output bit depends on every input bit. Word `i` depends on the key and on `i` alone,
    so a longer draw starts with a shorter one. The sum makes words repeat as independent ones do; `m` alone is a
    permutation.

    Reference: the mixing function is `triple32` of C. Wellons, nullprogram.com/blog/2018/07/31 (public domain); the
    constants are those of copies of it; the page itself was not read.

    Breaks when: more than 2^32 words are drawn from one key (the counter starts again), or someone tries to guess them:
    this is not a cipher.
    """
    return _words(key, lax.iota(jnp.uint32, math.prod(shape)).reshape(shape))


def _words(key: PRNGKeyArray, places: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    k0, k1 = jax.random.bits(key, (2,), jnp.uint32)
    y = _mix(places ^ k0)
    return _mix(y ^ k1) + y


def _mix(x: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    word = lambda value: jnp.asarray(value, jnp.uint32)  # noqa: E731
    for shift, factor in ((17, 0xED5AD4BB), (11, 0xAC4C1B51), (15, 0x31848BAB)):
        x = (x ^ (x >> word(shift))) * word(factor)
    return x ^ (x >> word(14))
