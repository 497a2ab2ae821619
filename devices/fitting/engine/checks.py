"""Tests that a wrong model does not pass."""

from __future__ import annotations

import numpy as np
from scipy import stats

from devices.fitting.engine.result import Check

TOO_GOOD = 1e-4  # a chi-squared this improbably small is not one


def uniform(probabilities: np.ndarray, what: str) -> Check:
    """Whether probability integral transforms are uniform, as those of a right distribution are (Kolmogorov-Smirnov).

    Parameters fitted to the same data make the test lenient: a rejection counts, an acceptance says little.
    """
    p = np.asarray(probabilities, float)
    p = p[np.isfinite(p)]
    found = stats.kstest(p, "uniform")
    says = "does not follow" if found.pvalue < 0.01 else "is compatible with"
    return Check(
        "distribution", float(found.statistic), float(found.pvalue),
        f"the distribution of {what} {says} the model's (Kolmogorov-Smirnov distance {found.statistic:.3f}, {len(p)} values)",
    )  # fmt: skip


def uncorrelated(residuals: np.ndarray, what: str, lags: int = 10) -> Check:
    """Whether consecutive residuals (last axis; NaN where there is none) are uncorrelated, pooled over rows.

    $$ Q = \\sum_k \\frac{(\\sum_t r_t r_{t-k})^2}{\\sum_t r_t^2 r_{t-k}^2} $$

    is chi-squared for independent residuals, whether or not their variances are equal; where they are, it is Box and
    Pierce's. Residuals of a loop, say, are much larger at large currents, and a few of them would decide in Ljung and Box's.

    Reference: Lobato, Nankervis, Savin 2001, 10.1111/1468-2354.00107 (recalled, not read).
    """
    r = np.atleast_2d(np.asarray(residuals, float))
    lags = max(min(lags, r.shape[1] // 4), 1)
    pairs = [r[:, k:] * r[:, :-k] for k in range(1, lags + 1)]
    found = np.array([np.nansum(x) / np.sqrt(max(np.nansum(x**2), 1e-300)) for x in pairs])
    statistic = float(np.sum(found**2))
    p = float(stats.chi2.sf(statistic, lags))
    first = np.nansum(pairs[0]) / max(np.nansum(r**2), 1e-300)
    says = "are correlated: the model misses a shape" if p < 0.01 else "show no correlation"
    return Check("residual correlation", statistic, p, f"consecutive {what} {says} (lag-1 correlation {first:+.2f})")


def scatter(squares: float, freedom: float, what: str) -> Check:
    """Whether a sum of squared standardised residuals is as large as its degrees of freedom say (chi-squared, upper tail).

    Far smaller than that it is not a sum of independent squares of the noise, and there is no verdict (p is NaN): what
    was averaged shares readings, or more was fitted than counted.
    """
    if stats.chi2.cdf(squares, freedom) < TOO_GOOD:
        small = f"the scatter of {what} is far below what independent noise would leave"
        sentence = f"{small} (reduced chi-squared {squares / freedom:.2g}): no test of the model"
        return Check("lack of fit", float(squares / freedom), float("nan"), sentence)
    p = float(stats.chi2.sf(squares, freedom))
    says = "exceeds" if p < 0.01 else "agrees with"
    return Check(
        "lack of fit",
        float(squares / freedom),
        p,
        f"the scatter of {what} {says} what noise explains (reduced chi-squared {squares / freedom:.2f})",
    )


def lack_of_fit(model: np.ndarray, data: np.ndarray, group: np.ndarray, unknowns: int, what: str) -> Check:
    """Whether group means deviate from the model by more than the scatter within groups explains (F test).

    Args:
        model, data: values. group: which of them are repetitions of each other. unknowns: fitted parameters.
    """
    _, group = np.unique(group, return_inverse=True)
    counts = np.bincount(group)
    mean = np.bincount(group, data) / counts
    within = float(np.sum((data - mean[group]) ** 2))
    between = float(np.sum(counts * (mean - np.bincount(group, model) / counts) ** 2))
    f1, f2 = max(len(counts) - unknowns, 1), max(len(data) - len(counts), 1)
    ratio = (between / f1) / max(within / f2, 1e-300)
    p = float(stats.f.sf(ratio, f1, f2))
    says = "deviate from the model by more than" if p < 0.01 else "deviate from the model no more than"
    return Check(
        "lack of fit", ratio, p, f"means of {what} {says} their scatter explains (F({f1}, {f2}) = {ratio:.2f})"
    )


def even_scatter(scores: np.ndarray, group: np.ndarray, unknowns: int, what: str) -> Check:
    """Whether standard normal scores scatter equally in all groups: squares beyond chi-squared show where a model is
    wrong.

    Args:
        scores: standard normal, if the model is right. group: which of them belong together; those of fewer than 20 are
            left out.
        unknowns: fitted parameters.
    """
    _, group = np.unique(group, return_inverse=True)
    counts = np.bincount(group)
    sums = np.bincount(group, np.asarray(scores, float) ** 2)
    large = counts >= 20
    squares = float(np.sum((sums[large] - counts[large]) ** 2 / (2 * counts[large])))
    freedom = max(int(large.sum()) - unknowns, 1)
    p = float(stats.chi2.sf(squares, freedom))
    says = "differs between" if p < 0.01 else "is the same in all"
    return Check(
        "even scatter",
        squares / freedom,
        p,
        f"the scatter that is left {says} {what} (reduced chi-squared {squares / freedom:.2f})",
    )
