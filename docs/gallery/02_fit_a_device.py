"""
Fit a device to measurements
============================

From readings of real cells to a device that a crossbar can be made of. On the command line this is
``xbar fit read_iv.csv --out my_device.toml``; here is the same in Python, on synthetic measurements, so that we know
what should come out.

Forty cells are read at 35 voltages each. Their current has an offset of 2 uA, bends with the voltage, and is read with 20 nA
of noise.
"""

import matplotlib.pyplot as plt
import numpy as np

from devices import fitting, instruments

rng = np.random.default_rng(0)
v = np.tile(np.linspace(0.01, 0.35, 35), 40)
cell = np.repeat(np.arange(40), 35)
i = 2e-6 + (1e-5 + 2e-6 * cell) * (v + 1.5 * v**3) + 2e-8 * rng.standard_normal(v.size)

# %%
# A ``Trace`` is what the file readers return (``instruments.read("my_file.csv")``): columns in SI units, and the kind of
# measurement.

trace = instruments.Trace("read-iv", {"v": v, "i": i, "device": cell})
found = fitting.fit(trace, "cubic")  # without a name: every model of the kind, the best first
for number in found.numbers:
    print(f"{number.name:12} {number.value:10.4g} ± {number.error} {number.unit}")
print("rejected by a test:", found.rejected)

# %%
# The data were made with a bend of 1.5 per V², and the fit states its own uncertainty. A test may *reject* a model: the
# result is then still given, but marked.
#
# Data and model, as the page of ``xbar fit`` shows them:

panel = found.panels[0]
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
colours = {}
for series in panel.series:
    colour = colours.setdefault(series.label.removesuffix(", model"), f"C{len(colours)}")
    axes.plot(
        series.x, series.y, "." if series.style == "points" else "-", color=colour, ms=4, lw=1, label=series.label
    )
axes.set(xlabel=panel.x, ylabel=panel.y, title=panel.title)
axes.legend(frameon=False, fontsize=7)
plt.show()

# %%
# ``assemble`` builds a device from what these measurements determine. What was not measured (write errors, drift, noise) stays
# ideal, and the device lists it: fill it in with more measurements, or with an explicit assumption by ``devices.assume``.

device = fitting.assemble([found])
print(device.conduction)
print(f"highest conductance: {float(device.g_max):.3g} S")
print("never measured:", ", ".join(device.unmeasured))
