"""Prices of event-driven chips: sums by hand, static power and time, and that each says what it counts."""

import pytest

from xbar.energy import event_chips, truenorth_event

CHIPS = {chip.name: chip for chip in event_chips()}
RUN = dict(synaptic=1e5, updates=5e3, spikes=400.0, hops=900.0, steps=20)


def test_loihi_by_hand():
    low, high = CHIPS["Loihi"].joules(**RUN)
    events = 1e5 * 23.6e-12 + 5e3 * 52e-12 + 400 * 69.3e-12 + 900 * 3e-12
    most = 1e5 * 35.5e-12 + 5e3 * 81e-12 + 400 * 180.3e-12 + 900 * 4.2e-12
    assert low == pytest.approx(events + 29.6e-3 * 256 / 131_072 * 20 * 1.8e-6)
    assert high == pytest.approx(most + 29.6e-3 * 20 * 1e-3)


def test_truenorth_full_is_its_power():
    """All of its neurons at 20 Hz and 128 synapses for a second: 72 mJ, 26.8 pJ an event. Fails if static power is lost."""
    events = 2.0**20 * 20 * 128
    low, high = CHIPS["TrueNorth"].joules(synaptic=events, updates=2.0**20 * 1000, spikes=0.0, hops=0.0, steps=1000)
    assert low == pytest.approx(72e-3) and high == pytest.approx(72e-3)
    assert high / events == pytest.approx(truenorth_event().value)


@pytest.mark.parametrize("name", ["TrueNorth", "Loihi", "Xylo"])
def test_time_costs_where_nothing_happens(name):
    """Never per event only: without a spike, twice the steps cost twice as much."""
    nothing = dict(synaptic=0.0, updates=0.0, spikes=0.0, hops=0.0)
    one, two = (CHIPS[name].joules(**nothing, steps=n)[1] for n in (10, 20))
    assert one > 0 and two == pytest.approx(2 * one)


def test_every_system_says_what_it_counts():
    assert set(CHIPS) == {"TrueNorth", "Loihi", "Loihi 2", "SpiNNaker 2", "ODIN", "Xylo", "Akida", "brain"}
    for chip in CHIPS.values():
        low, high = chip.joules(**RUN)
        assert 0 < low <= high and chip.counts and chip.leaves_out and chip.sources
        assert all(c.tag in "RMDL3" and c.source for c in chip.sources)
    low, high = CHIPS["brain"].joules(**RUN)
    assert (low, high) == (pytest.approx(2e-9), pytest.approx(2e-8))
