"""Every program in the README, CONTRIBUTING and the pages of docs/ runs as it stands; links lead somewhere."""

import importlib.util
import json
import pathlib
import re
import tomllib
import types

import jax
import matplotlib
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(p for p in (ROOT / "docs").rglob("*.md") if "_build" not in p.parts)])
BLOCKS = [
    pytest.param(page, program, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, program in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S), 1)
]
SCRIPTS = sorted((ROOT / "docs" / "gallery").glob("*.py"))
QUICK = ("05", "06")  # tutorials of the quick suite; the documentation build runs them all


def run(program, name):
    """Runs a program, and lets it use no key twice."""
    scope: dict = {"__name__": "__main__"}
    with jax.debug_key_reuse(True):
        exec(compile(program, name, "exec"), scope)
    return scope


@pytest.mark.parametrize(("page", "program"), BLOCKS)
def test_a_block_runs(page, program, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = run(program, page.name)
    out = capsys.readouterr().out
    if page.name == "README.md":
        said = re.search(r"```text\n(.*?)\n```", page.read_text())
        assert said is not None and out.strip() == said[1], "the README shows what its program prints"
    if "def recognises" in program:
        assert_reads_a_file(scope, tmp_path, monkeypatch)
    if "def present" in program:
        assert_is_an_experiment(program, tmp_path)
    if "class Middle" in program:
        assert float(out) < 1e-4
    if "class DriverResistance" in program:
        ideal, resistive = (float(line.split()[1]) for line in out.splitlines())
        assert resistive > 3 * ideal
    if "class Waiting" in program:
        fitted, mean = map(float, out.split())
        assert fitted == pytest.approx(mean, rel=1e-6)
    if "export_targets" in program:
        assert len(out.splitlines()) == 3


def assert_reads_a_file(scope, folder, monkeypatch):
    from devices.instruments import read, reading

    format_ = types.SimpleNamespace(**{name: scope[name] for name in ("NAME", "recognises", "read")})
    monkeypatch.setattr(reading, "FORMATS", (format_, *reading.FORMATS))
    file = folder / "loop.dat"
    rows = "".join(f"{v:.3f},{10 * v:.4f}\n" for v in np.sin(np.linspace(0, 12, 200)))
    file.write_text(f"MyTester v1.0\nvoltage, current\n{rows}")
    (trace,) = read([file])
    assert trace.format == "my tester" and trace.kind == "loop"
    np.testing.assert_allclose(trace["i"], 1e-5 * trace["v"], atol=2e-8)


def assert_is_an_experiment(program, folder):
    from experiments.framework import runner
    from experiments.framework.experiment import Source

    (folder / "mine.py").write_text(program)
    source = Source.of_file(str(folder / "mine.py"))
    (outcome,) = runner.execute(source, [source.load().Config()], out=folder / "results")
    assert outcome.presentation.summary["last_V"] < 0.03 and (outcome.folder / "report.html").is_file()


@pytest.mark.parametrize(
    "script",
    [pytest.param(s, id=s.stem, marks=() if s.name[:2] in QUICK else pytest.mark.slow) for s in SCRIPTS],
)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_a_tutorial_runs(script, capsys):
    if "import torch" in script.read_text():
        pytest.importorskip("torch", reason="torch is not installed: pip install 'xbar-sim[torch]'")
        if importlib.util.find_spec("torchax") is None:
            pytest.skip("torchax is not installed")
    matplotlib.use("Agg")
    run(script.read_text(), script.name)
    out = capsys.readouterr().out
    if script.name.startswith("04"):
        assert "NeuRRAM" in out and "1.1e-04" not in out and "after five pulses up" not in out.split("five pulses")[0]
    if script.name.startswith("05"):
        assert "layers.0.weight" in out and "digital" in out and "same bits: True" in out
    if script.name.startswith("03"):
        gain = float(re.search(r"over longer training: ([+-][\d.]+)", out)[1])
        assert gain > 2
    if script.name.startswith("09"):
        first, last = map(float, re.search(r"loss ([\d.]+), after 40 steps ([\d.]+)", out).groups())
        assert last < 0.6 * first
    if script.name.startswith("07"):
        assert "recalled [L]" in out and "Yao" in out and "H100" in out


def test_links_between_files_lead_somewhere():
    missing = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" in target or target.startswith(("mailto:",)):
                continue
            path = (page.parent / target).resolve()
            made = any(part in ("tutorials", "api") for part in path.parts)  # by the build
            included = (page.parent / target).with_suffix(".md").exists()
            if not (path.exists() or made or included):
                missing.append(f"{page.relative_to(ROOT)}: {target}")
    assert missing == []


def test_pages_and_tutorials_are_in_the_contents():
    """A page that no table of contents names is found by nobody; Sphinx warns too, but only in the full run."""
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        if name not in ("index", "supported-versions") and "_build" not in name:
            assert name in index, f"docs/index.md does not list {name}"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_notebooks_are_stored_without_outputs():
    for path in (ROOT / "docs" / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert not any(cell.get("outputs") for cell in cells), f"{path.name}: clear its outputs; the build makes them"


def test_every_public_module_has_a_page():
    """Rooms with an `__all__` are in the API reference, or reach it through another that is."""
    spec = importlib.util.spec_from_file_location("public_api", ROOT / "docs" / "extensions" / "public_api.py")
    assert spec is not None and spec.loader is not None
    api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(api)
    listed = set(api.MODULES)
    shown = {name for module in listed for name in vars(importlib.import_module(module)).get("__all__", ())}
    for file in [*(ROOT / "xbar").rglob("__init__.py"), *(ROOT / "devices").rglob("__init__.py")]:
        module = ".".join(file.parent.relative_to(ROOT).parts)
        names = getattr(importlib.import_module(module), "__all__", ())
        assert module in listed or set(names) <= shown, f"docs/extensions/public_api.py does not list {module}"


def test_the_version_is_said_once():
    """pyproject.toml has it; the citation repeats it."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()


def test_extras_are_documented():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    page = (ROOT / "docs" / "guide" / "installing.md").read_text()
    assert [extra for extra in extras if f"`{extra}`" not in page] == []


def test_every_experiment_is_documented():
    from experiments.framework.known_experiments import EXPERIMENTS

    page = (ROOT / "docs" / "guide" / "experiments.md").read_text()
    assert [name for name in EXPERIMENTS if name not in page] == []
