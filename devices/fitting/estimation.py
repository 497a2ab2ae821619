"""`fit`: from a trace to a model, with an error on every number."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from devices.fitting import screening
from devices.fitting.engine import uncertainty
from devices.fitting.engine.candidate import AbstractCandidate, AbstractResiduals
from devices.fitting.engine.mixing import mixed_ends
from devices.fitting.engine.optimum import GAIN, Optimum, search_data, search_once
from devices.fitting.engine.parameters import Space
from devices.fitting.engine.profiles import intervals
from devices.fitting.engine.result import Check, Fit
from devices.fitting.kinds import candidates, listed
from devices.fitting.report import recommendations
from devices.fitting.report.figures import panels
from devices.instruments.trace import FileError, Trace

STARTS = 24
NOTABLE = 0.05  # log likelihood per reading by which a rival's error on blocks left out is better
WILD = 1.0  # and by which blocks left out may be predicted worse than those fitted
HOPELESS = 100.0  # a model whose BIC is worse than another's by more needs no profiles
RESTARTS = 2  # times that a search is taken up from where a profile found a better likelihood


def fit(
    trace: Trace,
    model: str | None = None,
    *,
    starts: int = STARTS,
    seed: int = 0,
    others: bool = True,
    track: Callable[[Sequence[str]], Iterable[str]] = iter,
    done: Callable[[Fit], None] = lambda _: None,
) -> Fit:
    """Fits the models of a trace's kind, or the one named, and returns the best with errors on every number.

    Models are ranked by BIC. Standard errors are Laplace's; where a test rejects the noise model and there are enough blocks
    of data, they are the block-robust sandwich's, which is stated in `flags`. Parameters that the data hardly determine, or
    confuse with others, or whose likelihood is not parabolic, get the interval of their profile likelihood.

    Of 12,000 readings and more of many devices, models are first fitted to a random part of the devices; those that could
    have the best BIC on all readings are then fitted to all. `flags` state how many readings the others were fitted to.

    Args:
        model: name of a model; None: all of the kind that can be ranked. starts: searches from different points. seed: of
            the starts.
        others: whether the runners-up are returned in `Fit.others`.
        track: passes on the names of the models one by one, for a display of progress. done: called after each
            model with the best so far, for early display, or in case of interruption.

    Raises:
        FileError: if the trace lacks what the models need, or there is no model of that name.
    """
    usable = _usable(trace)
    available = candidates(trace.kind)
    if model is not None and model not in available:
        raise FileError(
            f"{trace.name}: unknown model {model!r} for a {trace.kind}; known models are:{listed(available)}"
        )
    names = [name for name, one in available.items() if one.ranked] if model is None else [model]
    part = screening.part_of(usable, seed)
    fits: list[Fit] = []
    of_part: dict[str, Fit] = {}
    refusals: list[str] = []
    for one in (available[name] for name in track(names)):
        try:
            rows = trace if one.keeps_excluded else usable
            given = one.of(rows)
            settings: dict[str, Any] = {"starts": starts, "seed": seed, "advise": False}
            if part is not None and screening.is_large(*given):
                found = fit_candidate(*one.of(part), part, profiled=False, **settings)
                of_part[one.name] = screening.on_all(found, *given, rows)
            else:
                fits.append(fit_candidate(*given, rows, rival=min(map(_bic, fits), default=np.inf), **settings))
        except FileError as error:
            refusals.append(f"{one.name}: {error}")
            continue
        done(_ranked([*fits, *of_part.values()], refusals))
    share = len(part) / len(usable) if part is not None else 1.0
    for small in sorted(of_part.values(), key=_bic):
        if screening.could_win(small, share, min(map(_bic, fits), default=np.inf)):
            del of_part[small.model]
            fits.append(_refit(small, usable, seed))
            done(_ranked([*fits, *of_part.values()], refusals))
    fits += of_part.values()
    if not fits:
        raise FileError(f"{trace.name}: " + "; ".join(refusals))
    best = _advised(_ranked(fits, refusals))
    return best if others else dataclasses.replace(best, others=())


def _refit(small: Fit, rows: Trace, seed: int) -> Fit:
    """A fit to all readings, from where a fit to a part of them ended."""
    candidate, data = type(small.candidate).of(rows)
    return fit_candidate(candidate, data, rows, starts=1, seed=seed, guesses=[small.estimate], advise=False)


def _bic(fit: Fit) -> float:
    return fit.bic if np.isfinite(fit.bic) else np.inf


def _ranked(fits: Sequence[Fit], refusals: Sequence[str]) -> Fit:
    """The best by BIC, with the others and what could not be fitted."""
    best, *others = ranked = sorted(fits, key=_bic)
    return dataclasses.replace(best, flags=(*best.flags, *foretelling(ranked), *refusals), others=tuple(others))


def foretelling(ranked: Sequence[Fit]) -> tuple[str, ...]:
    """A sentence where the best by BIC predicts blocks left out worse than a rival, or far worse than what it was fitted to.

    Args:
        ranked: fits of one trace, the best by BIC first.
    """
    best, (unseen, error) = ranked[0], ranked[0].held_out
    rivals = [f for f in ranked[1:] if np.isfinite(f.held_out[0])]
    if np.isnan(unseen) and not rivals:
        return ()
    shown = f"{best.model} is the best by BIC, but its error on blocks left out"
    if rivals:
        other = min(rivals, key=lambda f: f.held_out[0])
        least, its = other.held_out
        if not unseen - least < max(2 * its, NOTABLE):
            return (
                f"{shown}, {unseen:.3g} ± {error:.2g}, is worse than that of {other.model}, {least:.3g} ± {its:.2g}.",
            )
    seen = best.nll / best.rows
    if not unseen - seen < WILD:
        wild = (
            f"{unseen:.3g} ± {error:.2g}, is far above that of the fit, {seen:.3g}: a "
            "few blocks dominate its parameters."
        )
        return (f"{shown}, {wild}",)
    return ()


def _usable(trace: Trace) -> Trace:
    good = trace.good
    if not good.any():
        reasons = "; ".join(f.reason for f in trace.flags if f.excluded)
        raise FileError(f"{trace.name}: no rows are left to fit: {reasons}.")
    return trace if good.all() else trace.where(good)


def fit_candidate(
    candidate: AbstractCandidate,
    data: Any,
    trace: Trace,
    *,
    starts: int = STARTS,
    seed: int = 0,
    guesses: Sequence[dict[str, float]] = (),
    rival: float = np.inf,
    profiled: bool = True,
    advise: bool = True,
) -> Fit:
    """Fits one model.

    Args:
        guesses: points to start from besides the model's own. rival: BIC of another model; one that is worse by more than
            `HOPELESS` gets no profiles. profiled: whether there may be profiles at all. advise: whether to work out what to
            measure next.
    """
    began = time.perf_counter()
    space = Space(candidate.parameters())
    first = space.starts([*guesses, *candidate.guesses(data)], min(starts, candidate.starts), seed)
    data = jax.tree.map(np.asarray, data)
    best, *alternatives = _search(candidate, space, data, first)
    given = {"alternative_optima": tuple(alternatives), "rival": rival, "profiled": profiled}
    found = _conclude(candidate, space, data, best, trace, began, **given)
    return _advised(found) if advise else found


def _advised(fit: Fit) -> Fit:
    """With what to measure next."""
    space = Space(fit.candidate.parameters())
    return dataclasses.replace(fit, advice=recommendations.advice(fit.candidate, space, fit.data, fit.optimum))


def _search(candidate: AbstractCandidate, space: Space, data: Any, first: np.ndarray) -> tuple[Optimum, ...]:
    """The best end of searches from the rows of `first`, and others that are hardly worse."""
    with jax.enable_x64(True):
        blocks = jax.eval_shape(lambda: candidate.nll(_probe(candidate, space), data)).shape[0]
    if candidate.generations and len(first) > 1:
        first = np.concatenate([mixed_ends(candidate, space, data, first, blocks), first[:1]])
    return search_once(candidate, space.frame(), data, first, blocks)


def _probe(candidate, space: Space):
    values = space.frame().values(jnp.zeros(len(space)))
    return {**values, "sigma": jnp.ones(())} if isinstance(candidate, AbstractResiduals) else values


def _conclude(
    candidate,
    space: Space,
    data: Any,
    best: Optimum,
    trace: Trace,
    began: float,
    *,
    alternative_optima: tuple[Optimum, ...] = (),
    restarts: int = RESTARTS,
    rival: float = np.inf,
    profiled: bool = True,
) -> Fit:
    """A fit of the best end of searches, or of a better one that its profiles lead to.

    Args:
        alternative_optima: optima that are hardly worse, and those that have been left for better ones. restarts: how many
            better ones may still be followed. rival: BIC of another model. profiled: whether intervals may be profiled.
    """
    rows = candidate.count(data)
    values = values_at(space, np.asarray(best.theta), float(best.sigma))
    checks = candidate.checks(values, data)
    wrong = any(c.rejected for c in checks)
    robust = wrong and len(best.scores) > len(space)
    spread = uncertainty.covariance(best, robust=robust)
    found = uncertainty.numbers(space, best, spread, rows)
    given = candidate, space, data, best, spread, found
    unknowns = len(space) + int(np.isfinite(float(best.sigma)))
    hopeless = unknowns * np.log(rows) + 2 * float(best.nll) > rival + HOPELESS
    better = None
    if profiled and not hopeless:
        found, better = intervals(*given, stop_early=restarts > 0, alternative_optima=alternative_optima)
    if better is not None and restarts > 0:  # its profiles lead away from a search's end that was not the best
        nearest, *_ = search_once(candidate, space.frame(), data, better[None], len(best.scores))
        known = *alternative_optima, best
        again = {"alternative_optima": known, "restarts": restarts - 1, "rival": rival}
        return _conclude(candidate, space, data, nearest, trace, began, **again)
    unprofiled = "because another model is far better" if hopeless else ""
    unprofiled = unprofiled if profiled else "because it was not fitted to all readings"
    known = bool(np.isfinite(best.information).all())
    converged = known and float(best.gain) < GAIN and better is None
    why = f"the log likelihood could still gain {float(best.gain):.2g}" if known else "its derivatives are not finite"
    why = "there is a better likelihood elsewhere" if better is not None else why
    code = "converged" if converged else f"not converged: {why}; use more starts, or a simpler model"
    return Fit(
        kind=trace.kind,
        model=candidate.name,
        law=candidate.law,
        numbers=found,
        sigma=float(best.sigma),
        theta=np.asarray(best.theta),
        covariance=spread,
        laplace=uncertainty.covariance(best, robust=False),
        correlation=uncertainty.correlation(spread),
        converged=converged,
        code=code,
        nll=float(best.nll),
        rows=rows,
        held_out=uncertainty.held_out(candidate, space, data, best),
        checks=checks,
        measures=candidate.measures(values, data),
        flags=(
            *_remarks(trace, candidate, data, checks, robust, unprofiled),
            *recommendations.inseparable(space, best),
        ),
        advice=(),
        panels=panels(candidate, values, data),
        seconds=time.perf_counter() - began,
        trace=trace,
        candidate=candidate,
        data=data,
        optimum=best,
    )


def _remarks(trace: Trace, candidate, data: Any, checks: Sequence[Check], robust: bool, unprofiled: str) -> list[str]:
    """What a reader of a fit has to know.

    Args:
        robust: whether standard errors are those of blocks. unprofiled: why intervals are not profiled, "" if they are.
    """
    said = [*(f"{f.name}: {f.reason}" for f in trace.flags), *candidate.notes(data)]
    rejected = [c.sentence for c in checks if c.rejected]
    said += rejected
    if robust:
        said.append(
            "standard errors are computed from blocks of data, because the model's "
            "noise does not describe the residuals"
        )
    elif rejected:
        said.append("the model is rejected, and there are too few blocks of data for errors that do not rely on it")
    if unprofiled:
        said.append(f"its intervals are not profiled, {unprofiled}")
    return said


def values_at(space: Space, theta: np.ndarray, sigma: float) -> dict[str, float]:
    """Parameters as numbers, by name, with `sigma` where the model has one."""
    values = {name: float(v) for name, v in space.values(theta).items()}
    return {**values, "sigma": float(sigma)} if np.isfinite(sigma) else values


def coverage(
    candidate: AbstractCandidate,
    data: Any,
    values: dict[str, float],
    *,
    count: int = 200,
    starts: int = 2,
    seed: int = 0,
):
    """How often the 90 % intervals of `fit` contain the true value, by parameter, in data simulated at `values`.

    A test of a fitter, and of a protocol before it is measured.

    Args:
        values: the truth, `sigma` included where the model has one. count: data sets. starts: searches for each (from
                the truth and from points of the start ranges; its own guess is left aside).

    Returns:
        share of intervals that contain the true value, and the estimates, both by name.
    """
    space = Space(candidate.parameters())
    first = np.repeat(space.starts([values], starts, seed)[None], count, 0)
    with jax.enable_x64(True):
        data = jax.tree.map(np.asarray, data)
        truth = {n: jnp.asarray(v, float) for n, v in values.items()}
        sets = jax.jit(jax.vmap(lambda k: candidate.simulate(truth, data, key=k)))(
            jax.random.split(jax.random.key(seed), count)
        )
        sets = jax.tree.map(np.asarray, sets)
        blocks = jax.eval_shape(lambda: candidate.nll(_probe(candidate, space), data)).shape[0]
        rows, found, left, todo = candidate.count(data), {}, {}, list(range(count))
        while todo:
            better, its = {}, jax.tree.map(lambda x, todo=todo: x[todo], sets)
            ends = search_data(candidate, space.frame(), its, first[todo], np.ones(blocks), np.ones(len(space)))
            for j, k in enumerate(todo):
                one, own = (jax.tree.map(lambda x, j=j: np.asarray(x[j]), tree) for tree in (ends, its))
                spread, before = uncertainty.covariance(one, robust=False), left.get(k, ())
                given = candidate, space, own, one, spread, uncertainty.numbers(space, one, spread, rows)
                found[k], better[k] = intervals(*given, stop_early=len(before) < RESTARTS, alternative_optima=before)
                left[k] = *before, one
            todo = [k for k, theta in better.items() if theta is not None and len(left[k]) <= RESTARTS]
            first[todo] = np.array([better[k] for k in todo]).reshape(-1, 1, len(space))
    held = [[n.low <= values[n.name] <= n.high for n in found[k]] for k in range(count)]
    estimates = [[n.value for n in found[k]] for k in range(count)]
    return dict(zip(space.names, np.mean(held, 0), strict=True)), dict(
        zip(space.names, np.array(estimates).T, strict=True)
    )
