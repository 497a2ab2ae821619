"""One chip with as many weights as a cluster can hold: programs equal dense layers over all devices, and reads a batch.

    srun python -m experiments.slurm.large_chip --layers 16 --width 8192        (1.07e9 weights; see large_chip.sh)

Every process starts this program. Under SLURM they find each other; elsewhere give --coordinator, --processes and --process.
"""

from __future__ import annotations

import argparse
import json
import os
import time


def main() -> None:
    """Programs and reads; the first process prints one line of JSON."""
    given = _arguments()
    import jax

    if given.processes > 1:
        if "cpu" in os.environ.get("JAX_PLATFORMS", ""):
            jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(given.coordinator, given.processes, given.process)
    elif "SLURM_JOB_ID" in os.environ:
        jax.distributed.initialize()
    found = run(given.layers, given.width, given.batch, given.tile, given.seed)
    if jax.process_index() == 0:
        print(json.dumps(found), flush=True)


def run(layers: int, width: int, batch: int, tile: int, seed: int) -> dict[str, float]:
    """Seconds and bytes of each step, and a number that shows whether two clusters made the same chip.

    Args:
        layers, width: equal dense layers of `width` inputs and outputs. tile: word lines of a tile, and bit-line pairs; the
            tiles of a layer must divide evenly over all devices.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    import devices
    import xbar

    mesh = Mesh(np.array(jax.devices()), ("all",))
    columns = NamedSharding(mesh, PartitionSpec(None, None, "all"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    keys = jax.random.split(jax.random.key(seed), 4)
    weights = jax.jit(lambda k: jax.random.normal(k, (layers, width, width)) / np.sqrt(width), out_shardings=columns)(
        keys[0]
    )
    x = jax.jit(lambda k: jax.random.normal(k, (batch, width)), out_shardings=everywhere)(keys[1])

    def apply(weights, x):
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)[0]

    spread = xbar.Sharding(mesh, col_tiles="all")
    dac, adc = xbar.DAC(bits=8), xbar.ADC(bits=8)
    network = xbar.analog(
        apply, xbar.Tile(devices.pcm_joshi2020(), rows=tile, cols=tile, dac=dac, adc=adc, sharding=spread)
    )
    began = time.perf_counter()
    chip = jax.block_until_ready(jax.jit(lambda w, k: network.program(w, x, key=k))(weights, keys[2]))
    programmed = time.perf_counter()
    read = jax.jit(lambda chip, k: jnp.mean(chip(x, t=86_400.0, key=k) ** 2), out_shardings=everywhere)
    power = float(jax.block_until_ready(read(chip, keys[3])))
    first = time.perf_counter()
    float(jax.block_until_ready(read(chip, keys[3])))
    own = sum(
        s.data.nbytes
        for a in jax.tree.leaves(chip.arrays)
        if hasattr(a, "addressable_shards")
        for s in a.addressable_shards
    )
    return {
        "devices": len(jax.devices()),
        "weights": layers * width**2,
        "bytes_a_process": own,
        "program_seconds_with_compilation": programmed - began,
        "read_seconds_with_compilation": first - programmed,
        "read_seconds": time.perf_counter() - first,
        "output_power": power,
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in dict(layers=2, width=512, batch=64, tile=256, seed=0, processes=1, process=0).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--coordinator", default=None, help="address of the first process, host:port")
    return parser.parse_args()


if __name__ == "__main__":
    main()
