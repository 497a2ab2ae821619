"""Event-driven chips and brains: joules of an inference from the events of a simulated run, static power and time included."""

from __future__ import annotations

import dataclasses

from xbar.energy.published import Constant, brain_event, loihi_event

NEURONS_OF_CORE = 256


@dataclasses.dataclass(frozen=True)
class EventChip:
    """Prices of one chip's events.

    $$ E = e_{syn} N_{syn} + e_{upd} N_{upd} + e_{spike} N_{spike} + e_{hop} N_{hop} + P_{static} t, \\qquad t = T \\Delta t $$

    Each price is a pair, the lowest and the highest published or derived.

    Args:
        name: for tables. synaptic, update, spike, hop: of one event [J]; None: included in another price, or not known.
        static: power drawn whatever happens [W]: of the share of the chip in use, and of the whole chip.
        neurons: of the whole chip, which give the share in use; 0: not known, the pair of powers is used as it is.
        step: time [s], shortest and longest, of each step, or with `per_step=False` of an inference.
        counts: what the numbers include, in words. leaves_out: what they do not.
        sources: of all numbers.
    """

    name: str
    counts: str
    leaves_out: str
    sources: tuple[Constant, ...]
    step: tuple[float, float] = (1e-3, 1e-3)
    synaptic: tuple[float, float] | None = None
    update: tuple[float, float] | None = None
    spike: tuple[float, float] | None = None
    hop: tuple[float, float] | None = None
    static: tuple[float, float] | None = None
    neurons: int = 0
    per_step: bool = True

    def seconds(self, steps: int) -> tuple[float, float]:
        """Time of an inference [s], shortest and longest."""
        times = steps if self.per_step else 1
        return self.step[0] * times, self.step[1] * times

    def joules(self, *, synaptic: float, updates: float, spikes: float, hops: float, steps: int) -> tuple[float, float]:
        """Energy of an inference [J], lowest and highest.

        Args:
            synaptic, updates, spikes, hops: events of an inference. steps: time steps.
        """
        found = []
        for i in (0, 1):
            events = ((self.synaptic, synaptic), (self.update, updates), (self.spike, spikes), (self.hop, hops))
            total = sum(price[i] * n for price, n in events if price is not None)
            found.append(total + self._static(i, updates / steps) * self.seconds(steps)[i])
        return found[0], found[1]

    def _static(self, i: int, used: float) -> float:
        """Static power [W]: of the cores in use (lowest), of the whole chip (highest)."""
        if self.static is None:
            return 0.0
        if i == 1 or not self.neurons:
            return self.static[i]
        cores = -(-used // NEURONS_OF_CORE)
        return self.static[0] * min(1.0, cores * NEURONS_OF_CORE / self.neurons)


_SENECA = "table 3 of the SENECA paper, Front. Neurosci. 2023"
_SANA = "SANA-FE, arch/loihi.yaml"


def event_chips() -> tuple[EventChip, ...]:
    """Event-driven systems; what their numbers count differs from one to the next, and each says so."""
    return (_truenorth(), _loihi(), _loihi2(), _spinnaker2(), _odin(), _xylo(), _akida(), _brain())


def _truenorth() -> EventChip:
    event = Constant(2.5e-12, "J", "3", _SENECA)
    total = Constant(72e-3, "W", "3", "2^20 neurons at 20 Hz and 128 active synapses: 26.8 pJ an event with all of it")
    static = total.value - event.value * 2**20 * 20 * 128
    return EventChip(
        "TrueNorth",
        "synaptic events (2.5 pJ), and static power (72 mW less those events: 65 mW) for steps of 1 ms: of the cores in use "
        ".. of the whole chip",
        "weights are 1 bit times four values a neuron: this network would have to be trained for that",
        (event, total),
        synaptic=(event.value, event.value),
        static=(static, static),
        neurons=2**20,
    )


def _loihi() -> EventChip:
    idle = Constant(
        0.10e-3 * 296, "W", "D", "Blouw et al. 2019: 0.37 mJ with idle power less 0.27 mJ, 296 inferences/s"
    )
    return EventChip(
        "Loihi",
        "synaptic events (23.6 .. 35.5 pJ), updates (52 inactive .. 81 pJ active), spikes (69.3 pJ, .. with a message of 111 "
        "pJ), hops (3.0 .. 4.2 pJ), idle power (30 mW) for steps of 1.8 us (barrier) .. 1 ms",
        "host, input and output; learning; energies are of simulation before silicon",
        (
            loihi_event(),
            Constant(35.5e-12, "J", "R", f"{_SANA}: dense synapse"),
            Constant(81e-12, "J", "R", "keras-spiking: neuron update"),
            Constant(69.3e-12, "J", "R", f"{_SANA}: spike; message 111 pJ; hops 3.0 and 4.2 pJ; barrier 0.6 to 1.8 us"),
            idle,
        ),
        step=(1.8e-6, 1e-3),
        synaptic=(loihi_event().value, 35.5e-12),
        update=(52e-12, 81e-12),
        spike=(69.3e-12, 69.3e-12 + 111e-12),
        hop=(3.0e-12, 4.2e-12),
        static=(idle.value, idle.value),
        neurons=131_072,
    )


def _loihi2() -> EventChip:
    most = Constant(
        2600 / 380e12, "J", "D", "Hala Point: at most 2,600 W for 380 T synaptic operations/s on 1,152 chips"
    )
    least = Constant(2 / 15e12, "J", "D", "Hala Point: more than 15 TOPS/W claimed, of dense 8-bit networks")
    return EventChip(
        "Loihi 2",
        "everything in a full machine at full load, per synaptic event (0.13 .. 6.8 pJ): static power is in it",
        "idle power of a machine that is not full; no table of events was found; a band, not a measurement",
        (most, least),
        step=(1.8e-6, 1e-3),
        synaptic=(least.value, most.value),
    )


def _spinnaker2() -> EventChip:
    low, high = Constant(10e-12, "J", "3", _SENECA), Constant(450e-12, "J", "3", "keras-spiking, citing Höppner 2019")
    update = Constant(2.19e-9, "J", "3", "keras-spiking, citing Höppner 2019: neuron update, prototype")
    return EventChip(
        "SpiNNaker 2",
        "synaptic events (10 pJ, .. 450 pJ of the prototype), updates (.. 2.19 nJ of the prototype), steps of 1 ms",
        "static power and memory outside the chip: no figure was read",
        (low, high, update),
        synaptic=(low.value, high.value),
        update=(0.0, update.value),
    )


def _odin() -> EventChip:
    event = Constant(12.7e-12, "J", "R", "Frenkel et al. 2019, title: 12.7 pJ a synaptic operation, 28 nm")
    return EventChip(
        "ODIN",
        "synaptic events with the updates they cause (12.7 pJ)",
        "leakage and clocks; it has 256 neurons: larger networks need several, and links between them",
        (event,),
        synaptic=(event.value, event.value),
    )


def _xylo() -> EventChip:
    power = Constant(
        291e-6, "W", "R", "Xylo Audio 2, abstract: 291 uW dynamic and 6.6 uJ an inference on Aloha's keywords"
    )
    own = Constant(6.6e-6, "J", "R", power.source)
    return EventChip(
        "Xylo",
        "its measured dynamic power (291 uW) for as many steps of 1 ms as this network has; its own inference took 6.6 uJ",
        "idle power; the power is that of another network: an order of magnitude, not this network's energy",
        (power, own),
        static=(power.value, power.value),
    )


def _akida() -> EventChip:
    low, high = (
        Constant(30e-3, "W", "L", "vendor's list"),
        Constant(250e-3, "W", "R", "a user's study: cap of the board"),
    )
    return EventChip(
        "Akida",
        "power of the chip (30 .. 250 mW) for 1 ms .. 33 ms (assumed: 30 pictures a second), whatever the network",
        "everything else: no trustworthy joules of an inference were found",
        (low, high),
        step=(1e-3, 33e-3),
        static=(low.value, high.value),
        per_step=False,
    )


def _brain() -> EventChip:
    low, high = brain_event()
    return EventChip(
        "brain",
        "all of its 20 W, shared by 1e14 .. 1e15 synaptic events a second (20 .. 200 fJ)",
        "nothing; but of these 20 W cortical computing gets 0.1 W and communication 3.5 W (Levy and Calvert 2021, abstract)",
        (low, high),
        synaptic=(low.value, high.value),
    )
