"""What `device-zoo` shows: a figure for each device, and a table of all."""

from __future__ import annotations

from typing import Any

import numpy as np

import devices
from experiments.framework import plots
from experiments.framework.experiment import Presentation
from experiments.framework.store import Results

PANEL = 3.4  # width of each panel [inch], the same for all devices
_US = 1e6
_DAY = 86_400.0


def present(config: Any, results: Results) -> Presentation:
    """One figure for each device with something to show, the table, and where the numbers come from."""
    names = results.coordinates("device")
    figures = {str(n): f for n in names if (f := figure(results, str(n))) is not None}
    text = "\n".join([*table(results), *_without(names, figures)])
    method = (
        f"Bands are the 10th and 90th percentile over {config.cells} cells, lines the median. Read noise is the Welch "
        "spectrum of consecutive reads relative to the squared mean, averaged over cells. "
        "Loops are the second period of a sine.",
        *(devices.description(str(n)) for n in names),
    )
    return Presentation(text, figures, method, {"devices": list(map(str, names))})


def _without(names: Any, figures: dict[str, Any]) -> list[str]:
    missing = [str(n) for n in names if n not in figures]
    return ["", f"No figure: {', '.join(missing)}."] if missing else []


def table(results: Results) -> list[str]:
    """One line per device: range, write error and drift of the middle state, read noise, pulses of a sweep."""
    names = [str(n) for n in results.coordinates("device")]
    wide = 2 + max(map(len, names))
    lines = [f"{'device':<{wide}}{'range [uS]':>16}{'write sd [uS]':>15}{'a day [%]':>11}{'noise [%]':>11}{'sweep':>7}"]
    for name in names:
        made = devices.find(name)()
        if not isinstance(made, devices.Device):
            hertz = float(results.select("loop_hertz", device=name))
            shown = f"loops from {hertz:g} Hz" if np.isfinite(hertz) else "no loop"
            lines.append(f"{name:<{wide}}{'compact model, ' + shown:>40}")
            continue
        low, high = float(made.g_min) * _US, float(made.g_max) * _US
        lines.append(
            f"{name:<{wide}}{f'{low:.3g} .. {high:.3g}':>16}{_write(results, name):>15}{_drift(results, name):>11}"
            f"{_noise(results, name):>11}{_sweep(results, name):>7}"
        )
    return lines


def _shown(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "-"


def _write(results: Results, name: str) -> str:
    low, _, high = results.select("write_error", device=name)[10]
    return _shown((high - low) / 2.563 * _US, ".3g")


def _drift(results: Results, name: str) -> str:
    """Median change of the middle state at the time nearest to a day after its first time."""
    times, g = results.select("drift_time", device=name), results.select("conductance", device=name, state=0.5)[:, 1]
    if not np.isfinite(times).any():
        return "-"
    at = int(np.nanargmin(np.abs(np.log(times / _DAY))))
    return _shown(100 * (g[at] / g[0] - 1), "+.1f")


def _noise(results: Results, name: str) -> str:
    """Standard deviation of the middle state in the band of the spectrum."""
    f, density = results.select("noise_frequency", device=name), results.select("noise", device=name, state=0.5)
    return _shown(100 * float(np.sqrt(np.trapezoid(density, f))), ".2g")


def _sweep(results: Results, name: str) -> str:
    return _shown(results.select("pulse_count", device=name)[-1] / 2, ".0f")


def figure(results: Results, name: str) -> Any | None:
    """The panels that a device has; None if it has none."""
    panels = [p for p in (_loop, _iv, _pulse, _drift_panel, _noise_panel, _write_panel) if _has(results, name, p)]
    if not panels:
        return None
    fig, axes = plots.subplots(*[PANEL] * len(panels), height=3.2)
    for panel, ax in zip(panels, axes, strict=True):
        panel(results, name, ax)
    fig.suptitle(f"{name}\n{devices.find(name).provenance.technology}", fontsize=9)  # pyright: ignore[reportFunctionMemberAccess]
    return fig


def _has(results: Results, name: str, panel: Any) -> bool:
    variable = {
        _loop: "loop_current",
        _iv: "current",
        _pulse: "pulsed",
        _drift_panel: "conductance",
        _noise_panel: "noise",
        _write_panel: "write_error",
    }[panel]
    return bool(np.isfinite(results.select(variable, device=name)).any())


def _loop(results: Results, name: str, ax: Any) -> None:
    v, hertz = results.select("loop_volt", device=name), float(results.select("loop_hertz", device=name))
    currents = results.select("loop_current", device=name)
    factor, label_of_current = plots.prefixed("current [A]", float(np.nanmax(np.abs(currents))))
    errors = results.select("loop_error", device=name)
    factors = results.coordinates("slowness")
    for colour, times, i, error in zip(plots.PALETTE, factors, currents, errors, strict=False):
        sure = (
            error <= 0.01
        )  # otherwise the cell switches faster than the time steps resolve: when, is not known exactly
        label = f"{hertz * float(times):g} Hz" + ("" if sure else ", switching not resolved")
        ax.plot(v, i * factor, color=colour, linewidth=1, linestyle="-" if sure else "--", label=label)
    ax.set(xlabel="voltage [V]", ylabel=label_of_current)
    ax.set_title("pinched loop, second period", fontsize=8)
    ax.legend(fontsize=7)


def _states(results: Results) -> Any:
    return zip(plots.PALETTE, results.coordinates("state"), strict=False)


def _iv(results: Results, name: str, ax: Any) -> None:
    v, currents = results.select("read_volt", device=name), results.select("current", device=name)
    factor, label_of_current = plots.prefixed("current [A]", float(np.max(np.abs(currents))))
    for (colour, state), i in zip(_states(results), currents, strict=True):
        ax.plot(v, i * factor, color=colour, linewidth=1, label=f"{state:.0%} of range")
    ax.set(xlabel="voltage [V]", ylabel=label_of_current)
    ax.set_title("read I-V", fontsize=8)
    ax.legend(fontsize=7)


def _band(ax: Any, x: Any, bands: Any, colour: str, label: str = "") -> None:
    ax.fill_between(x, bands[:, 0], bands[:, 2], color=colour, alpha=0.2, linewidth=0)
    ax.plot(x, bands[:, 1], color=colour, linewidth=1, label=label, marker="o" if len(x) < 6 else None, markersize=3)


def _pulse(results: Results, name: str, ax: Any) -> None:
    _band(ax, results.select("pulse_count", device=name), _US * results.select("pulsed", device=name), plots.PALETTE[0])
    ax.set(xlabel="pulses, up and then down", ylabel="conductance [uS]")
    ax.set_title("potentiation and depression", fontsize=8)


def _drift_panel(results: Results, name: str, ax: Any) -> None:
    times = results.select("drift_time", device=name)
    known = np.isfinite(times)
    for colour, state in _states(results):
        bands = _US * results.select("conductance", device=name, state=state)[known]
        _band(ax, times[known], bands, colour, f"{state:.0%}")
    ax.set(xscale="log", xlabel="time since programming [s]", ylabel="conductance [uS]")
    ax.set_title("drift and relaxation", fontsize=8)


def _noise_panel(results: Results, name: str, ax: Any) -> None:
    f = results.select("noise_frequency", device=name)
    for colour, state in _states(results):
        ax.plot(f, results.select("noise", device=name, state=state), color=colour, linewidth=1, label=f"{state:.0%}")
    ax.set(xscale="log", yscale="log", xlabel="frequency [Hz]", ylabel="S$_G$/G$^2$ [1/Hz]")
    ax.set_title("read noise", fontsize=8)


def _write_panel(results: Results, name: str, ax: Any) -> None:
    bands = _US * results.select("write_error", device=name)
    _band(ax, _US * results.select("write_target", device=name), bands, plots.PALETTE[3])
    ax.set(xlabel="target [uS]", ylabel="error [uS]")
    ax.set_title("programming error", fontsize=8)
