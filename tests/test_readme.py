"""The README's programs run as they stand."""

import importlib.util
import pathlib
import re

import jax
import pytest

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
PROGRAMS = [p for p in re.findall(r"```python\n(.*?)```", README, re.S) if "apply(params, x): any JAX" not in p]


def test_there_are_nine_programs():
    assert len(PROGRAMS) == 9


@pytest.mark.parametrize(
    "program",
    PROGRAMS,
    ids=["fit", "experiment", "architecture", "torch", "device", "synapse", "training", "arrays", "one-line"],
)
def test_journey(program, capsys):
    """Each of the journeys runs without an error; the first prints a tile map and a ledger."""
    if "from_torch" in program:
        pytest.importorskip("torch", reason="torch is not installed: pip install 'xbar-sim[torch]'")
        if importlib.util.find_spec("torchax") is None:
            pytest.skip("torchax is not installed")
    scope: dict = {}
    with jax.debug_key_reuse(True):  # and use no key twice
        exec(compile(program, "README.md", "exec"), scope)
    out = capsys.readouterr().out
    if "chip.layers" in program:
        assert "layers.0.weight" in out and "P10-P90" in out and "H100" in out
    if "architectures" in program:
        assert "recalled [L]" in out and "Yao" in out
    if "LogRelaxation" in program:
        assert 0 < float(out.splitlines()[0]) < 1e-5 and "NeuRRAM" in out
    if "fitting.fit" in program:
        assert "curvature" in out and "Cubic" in out
    if "pulse_response" in program:
        numbers = [float(word) for word in out.split()]
        assert numbers[0] == pytest.approx(2e-4, rel=1e-3) and numbers[1] < 0.01 and 1.1e-4 < numbers[2] < 5e-4
