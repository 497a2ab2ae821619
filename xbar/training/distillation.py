"""Learning from the digital network: no labels are needed."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def distillation_loss(
    student: Float[Array, "*batch classes"],
    teacher: Float[Array, "*batch classes"],
    temperature: float = 1.0,
) -> Float[Array, ""]:
    """How far the student's softened probabilities are from the teacher's, on average [nat].

    $$ L = T^2 \\left\\langle \\sum_c p_c \\ln\\frac{p_c}{q_c} \\right\\rangle, \\quad
       p = \\mathrm{softmax}(z_{teacher}/T),\\ q = \\mathrm{softmax}(z_{student}/T) $$

    No gradient flows to the teacher. With labels: add a share of their cross-entropy.

    Args:
        student, teacher: logits. temperature: `T`; 1 for analog foundation models.

    Raises:
        ValueError: for a temperature that is not above 0.

    Reference: Hinton, Vinyals, Dean 2015, arXiv:1503.02531; Buechel et al. 2025, arXiv:2505.09663 (T = 1).

    Breaks when: the teacher is wrong: the student learns that, too.
    """
    if temperature <= 0:
        raise ValueError(f"distillation_loss: temperature={temperature!r}; it must be above 0, usually 1.")
    p = jax.nn.log_softmax(jax.lax.stop_gradient(teacher) / temperature)
    q = jax.nn.log_softmax(student / temperature)
    return temperature**2 * jnp.mean(jnp.sum(jnp.exp(p) * (p - q), -1))
