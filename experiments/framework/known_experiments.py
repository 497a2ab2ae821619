"""The experiments there are, without importing them."""

EXPERIMENTS = {  # name: (module, what it shows, time on two cores)
    "accuracy-energy": (
        "experiments.accuracy_energy",
        "accuracy of a network on crossbars over time, against the energy of an inference",
        "2 min",
    ),
    "benchmark": (
        "experiments.benchmark",
        "how long things take, beside a reference timed in the same run",
        "1 min",
    ),
    "device-zoo": (
        "experiments.device_zoo",
        "every published device: loops, pulses, drift, noise, programming error",
        "2 min",
    ),
    "ir-drop": (
        "experiments.ir_drop",
        "wire resistance: error and accuracy against array size, and what helps",
        "4 min",
    ),
    "scale": (
        "experiments.scale",
        "what chips cost a computer: memory and time by the number of weights, and for a billion of them",
        "1 min",
    ),
    "reproduce": (
        "experiments.reproduce",
        "published results done again: published, here, tolerance, verdict (--case E1, E2, E4, E5, E6, E7)",
        "2 to 9 min",
    ),
    "platforms": (
        "experiments.platforms",
        "one network on every platform: GPUs, published analog chips, named architectures, brains",
        "3 min",
    ),
    "train-on-array": (
        "experiments.train_on_array",
        "training on the arrays themselves: accuracy, pulses and joules of any network, device and algorithm",
        "3 min",
    ),
    "training-energy": (
        "experiments.training_energy",
        "the energy of training a large model, restated on other hardware; every assumption is a flag",
        "1 s",
    ),
    "sensitivity": (
        "experiments.sensitivity",
        "which number of the device, and which layer, a network's loss is sensitive to; which layers stay digital",
        "1 min",
    ),
    "specification": (
        "experiments.specification",
        "what a laboratory has to improve: tolerances that keep an accuracy, their exchange rates, the next measurement",
        "2 min",
    ),
    "yield": (
        "experiments.chip_yield",
        "how many chips are good enough, against cell yield and spread",
        "1 min",
    ),
}
