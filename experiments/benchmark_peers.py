"""What `xbar run benchmark` compares with: other programs for the same task, where they are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

Timed = Callable[[Any], Any]  # takes a key
SPARSE_LU, BADCROSSBAR, TORCH, AIHWKIT = "SciPy sparse LU", "badcrossbar", "torch", "aihwkit"


def available(needs: str) -> bool:
    """Whether a package that a case needs is installed."""
    return not needs or importlib.util.find_spec(needs) is not None


def circuit_solver(name: str, g: Any, v: Any, ohm: float) -> Timed | None:
    """Currents of a tile from the program of this name, or None without a name."""
    import numpy as np

    g, v = np.asarray(g), np.asarray(v)
    peers = {BADCROSSBAR: _badcrossbar, SPARSE_LU: _sparse_lu}
    return (lambda key: peers[name](g, v, ohm)) if name else None


def _badcrossbar(g, v, ohm):
    import logging

    import badcrossbar  # pyright: ignore[reportMissingImports]

    logging.disable(logging.INFO)
    return badcrossbar.compute(v.T, 1 / g, ohm).currents.output  # pyright: ignore[reportAttributeAccessIssue]


def _sparse_lu(g, v, ohm):
    """Nodal analysis of the whole tile by SciPy's sparse LU."""
    import numpy as np
    import scipy.sparse as sparse
    import scipy.sparse.linalg

    n, m = g.shape
    word, bit = np.arange(n * m).reshape(n, m), n * m + np.arange(n * m).reshape(n, m)
    ends = [(word, bit, g), (word[:, :-1], word[:, 1:], 1 / ohm), (bit[:-1], bit[1:], 1 / ohm)]
    a, b = (np.concatenate([x[k].ravel() for x in ends]) for k in (0, 1))
    s = np.concatenate([np.broadcast_to(x[2], x[0].shape).ravel() for x in ends])
    terminals = np.r_[word[:, 0], bit[-1]]
    values = np.r_[s, s, -s, -s, np.full(len(terminals), 1 / ohm)]
    places = np.r_[a, b, a, b, terminals], np.r_[a, b, b, a, terminals]
    matrix = sparse.coo_matrix((values, places), shape=(2 * n * m,) * 2)
    drive = np.zeros((2 * n * m, len(v)))
    drive[word[:, 0]] = v.T / ohm
    return scipy.sparse.linalg.splu(matrix.tocsc()).solve(drive)[bit[-1]] / ohm


def torch_product(w, x) -> Timed:
    """A plain product by PyTorch."""
    import torch  # pyright: ignore[reportMissingImports]

    w, x = torch.from_numpy(w.copy()), torch.from_numpy(x.copy())
    return lambda key: (x @ w).numpy()


def aihwkit_training(algorithm: str, x, y, steps: int) -> Timed:
    """Steps of training by aihwkit on arrays of `SoftBoundsDevice`, on one thread, with which it is faster than with two:
    of the MLP if `x` holds vectors, of LeNet if it holds images. A transfer of Tiki-Taka reads one row per batch, as ours
    does."""
    import numpy as np
    import torch  # pyright: ignore[reportMissingImports]
    from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential  # pyright: ignore[reportMissingImports]
    from aihwkit.optim import AnalogSGD  # pyright: ignore[reportMissingImports]
    from aihwkit.simulator.configs import SoftBoundsDevice, build_config  # pyright: ignore[reportMissingImports]

    def cells() -> Any:
        config: Any = build_config({"sgd": "sgd", "tiki-taka2": "ttv2"}[algorithm], device=SoftBoundsDevice())
        if algorithm == "tiki-taka2":
            config.device.transfer_every, config.device.units_in_mbatch = 1.0, True
        return config

    nn, images = torch.nn, np.ndim(x) > 2
    dense = lambda a, b: AnalogLinear(a, b, bias=images, rpu_config=cells())  # noqa: E731
    conv = lambda a, b, pad: AnalogConv2d(a, b, 5, padding=pad, rpu_config=cells())  # noqa: E731
    if images:
        pool = lambda: (nn.ReLU(), nn.MaxPool2d(2))  # noqa: E731
        layers = [
            conv(1, 6, 2),
            *pool(),
            conv(6, 16, 0),
            *pool(),
            nn.Flatten(),
            dense(400, 120),
            nn.ReLU(),
            dense(120, 10),
        ]
    else:
        layers = [dense(784, 256), nn.Sigmoid(), dense(256, 128), nn.Sigmoid(), dense(128, 10)]
    model, loss = AnalogSequential(*layers), nn.CrossEntropyLoss()
    optimiser = AnalogSGD(model.parameters(), lr=0.1)
    optimiser.regroup_param_groups(model)
    x, y = torch.from_numpy(np.array(x)), torch.from_numpy(np.array(y)).long()

    def train(key: Any) -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        for _ in range(steps):
            optimiser.zero_grad()
            loss(model(x), y).backward()
            optimiser.step()
        torch.set_num_threads(threads)

    return train
