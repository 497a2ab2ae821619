"""The table of experiments, without importing them."""

EXPERIMENTS = {  # name: (module, what it shows, time on two cores)
    "accuracy-energy": (
        "experiments.accuracy_energy",
        "accuracy of a network on crossbars over time, against the energy of an inference",
        "2 min",
    ),
    "benchmark": (
        "experiments.benchmark",
        "how long common tasks take, against a reference timed in the same run",
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
        "what simulating chips costs: memory and time by the number of weights, and for a billion of them",
        "1 min",
    ),
    "reproduce": (
        "experiments.reproduce",
        "published results reproduced: published, here, tolerance, verdict (--case E1, E2, E3, E4, E5, E6, E7)",
        "2 to 15 min",
    ),
    "platforms": (
        "experiments.platforms",
        "one network on every platform: GPUs, published analog chips, named architectures, brains",
        "3 min",
    ),
    "mlperf-tiny": (
        "experiments.mlperf_tiny",
        "the networks of MLPerf Tiny on any device and macro: accuracy over time, uJ and ms, against measured boards",
        "7 min",
    ),
    "sparsity": (
        "experiments.sparsity",
        "which hardware profits from zeros in inputs and weights: GPU, frame-based and event-driven crossbars, Loihi",
        "1 min",
    ),
    "codesign": (
        "experiments.codesign",
        "weights and physics optimised together by gradient, from accuracy to low energy; against grid, random, NSGA-II",
        "4 min",
    ),
    "train-on-array": (
        "experiments.train_on_array",
        "training on the arrays themselves: accuracy, pulses and joules of any network, device and algorithm",
        "3 min",
    ),
    "asymmetry-map": (
        "experiments.asymmetry_map",
        "which pulses training on arrays tolerates: accuracy against asymmetry, number of states, reference errors",
        "3 min",
    ),
    "refresh": (
        "experiments.refreshing",
        "drift, and what refreshing a chip by training on its arrays gains and costs",
        "2 min",
    ),
    "training-energy": (
        "experiments.training_energy",
        "the energy of training a large model, on GPUs and on other hardware; every assumption is a setting",
        "1 s",
    ),
    "training-study": (
        "experiments.training_study",
        "techniques of hardware-aware training: what each costs, and saves after a day and a year",
        "6 min",
    ),
    "sensitivity": (
        "experiments.sensitivity",
        "which number of the device, and which layer, a network's loss is sensitive to; which layers stay digital",
        "1 min",
    ),
    "specification": (
        "experiments.specification",
        "what a laboratory must improve: tolerances that keep an accuracy, their exchange rates, the next measurement",
        "2 min",
    ),
    "yield": (
        "experiments.chip_yield",
        "how many chips are good enough, against cell yield and spread",
        "1 min",
    ),
    "crossover": (
        "experiments.crossover",
        "the same weights as frames and as events: the spike rate below which spiking costs less, accuracy against energy",
        "6 min",
    ),
    "spiking": (
        "experiments.spiking",
        "a rate-coded LIF network on MNIST: accuracy over time, events, energy on crossbars and event-driven chips",
        "5 min",
    ),
    "wearable-ecg": (
        "experiments.wearable_ecg",
        "heartbeats of new patients, as frames and spikes: recall of each class, energy with electrodes, days on a coin cell",
        "4 min",
    ),
    "keyword": (
        "experiments.keyword_spotting",
        "spoken digits and MLPerf Tiny's keywords, as frames and spikes: accuracy over time, energy with the microphone",
        "6 min",
    ),
    "sense": (
        "experiments.sense",
        "which network, device and converter meets a budget (--max-uj 1 --min-accuracy 90), against measured boards",
        "6 min",
    ),
    "stdp": (
        "experiments.stdp",
        "unsupervised learning by spike timing on memory cells, against the spread of every device parameter",
        "a few minutes",
    ),
}
