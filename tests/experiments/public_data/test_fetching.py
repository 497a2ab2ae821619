"""`xbar data`: from a registry to a folder that is whole or not there."""

import hashlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import tomllib
import wave
import zipfile

import numpy as np
import pytest

from experiments import datasets
from experiments.command import cli
from experiments.framework.errors import UsageError
from experiments.public_data import command, registry
from experiments.public_data.conversions import held_against_its_sums
from experiments.public_data.places import cache, find
from experiments.public_data.unpacking import ArchiveError

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from file_server import serving

BODY = bytes(range(256)) * 40
needs_pooch = pytest.mark.skipif(
    not any((pathlib.Path(p) / "pooch").is_dir() for p in sys.path), reason="pooch is not installed"
)
HEAD = '[{0}]\ntitle = "T"\nlicence = "CC0"\ncitation = "@misc{{x}}"\nshapes = ["bytes"]\n'


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server.files["a.bin"] = BODY
        yield server


@pytest.fixture
def data(monkeypatch, tmp_path, capsys, server):
    """Runs `xbar data` with a registry of `toy` (a.bin with its checksum): (exit code, standard output, standard error)."""
    for name in ("XBAR_DATA", "XBAR_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "registry.toml"
    monkeypatch.setattr(registry, "registry_path", lambda: path)

    def know(*files, name="toy", **more):
        tables = "".join(
            f"[[{name}.files]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in file.items()) for file in files
        )
        path.write_text(HEAD.format(name) + "".join(f"{k} = {json.dumps(v)}\n" for k, v in more.items()) + tables)
        registry.entries.cache_clear()

    def run(*arguments):
        return cli.command(["data", *arguments]), *capsys.readouterr()

    run.know = know
    know(
        {
            "name": "a.bin",
            "sha256": hashlib.sha256(BODY).hexdigest(),
            "size": len(BODY),
            "urls": [server.base + "a.bin"],
        }
    )
    yield run
    registry.entries.cache_clear()


@needs_pooch
def test_fetch_find_and_fetch_again(data, server):
    assert data("path", "toy")[0] == 2
    code, out, err = data("fetch", "toy")
    folder = pathlib.Path(out.strip())
    assert code == 0 and (folder / "a.bin").read_bytes() == BODY and find("toy") == folder == cache() / "toy"
    record = json.loads((folder / "SOURCE.json").read_text())
    assert record["files"]["a.bin"]["checksum_was_known"] and record["licence"] == "CC0" and "CC0" in err
    assert [p.name for p in cache().iterdir() if p.is_dir()] == ["toy"]
    code, out, err = data("fetch", "toy", "--offline")
    assert code == 0 and "here already" in err and len(server.log) == 1
    (folder / "a.bin").write_bytes(b"spoilt")
    assert data("fetch", "toy", "--again")[0] == 0 and (folder / "a.bin").read_bytes() == BODY
    assert data("path", "toy")[1].strip() == str(folder) and data("path")[1].strip() == str(cache())


def test_a_local_copy_comes_first(data, monkeypatch, tmp_path, server):
    for sub in ("datasets", "measured", "."):
        folder = tmp_path / sub / "local" / sub / "toy"
        folder.mkdir(parents=True)
        monkeypatch.setenv("XBAR_DATA", str(tmp_path / sub / "local"))
        code, out, _ = data("fetch", "toy")
        assert code == 0 and pathlib.Path(out.strip()).samefile(folder) and find("toy").samefile(folder)
    assert not server.log


@needs_pooch
def test_fetching_beside_a_local_copy_says_which_is_used(data, monkeypatch, tmp_path):
    (tmp_path / "local" / "toy").mkdir(parents=True)
    monkeypatch.setenv("XBAR_DATA", str(tmp_path / "local"))
    code, out, err = data("fetch", "toy", "--again")
    assert code == 0 and out.strip() == str(cache() / "toy") and "used before what was fetched" in err
    assert find("toy") == tmp_path / "local" / "toy"


@needs_pooch
def test_a_wrong_checksum_leaves_nothing(data, server):
    server.files["a.bin"] = BODY[::-1]
    code, out, err = data("fetch", "toy")
    assert code == 1 and out == "" and "SHA-256 is not" in err and "deleted" in err and "run the same command" in err
    assert not list(cache().rglob("a.bin")) and not (cache() / "toy").exists()


@needs_pooch
def test_an_unknown_checksum_is_recorded_and_said(data, server):
    data.know({"name": "a.bin", "note": "none published", "urls": [server.base + "a.bin"]})
    code, out, err = data("fetch", "toy")
    record = json.loads((pathlib.Path(out.strip()) / "SOURCE.json").read_text())["files"]["a.bin"]
    digest = hashlib.sha256(BODY).hexdigest()
    assert code == 0 and f"no checksum was known; recorded SHA-256 {digest}" in err
    assert record["sha256"] == digest and not record["checksum_was_known"]


@needs_pooch
def test_another_address_is_tried_and_all_failures_are_named(data, server):
    file = {"name": "a.bin", "sha256": hashlib.sha256(BODY).hexdigest()}
    data.know(file | {"urls": [server.base + "gone.bin", server.base + "a.bin"]})
    code, _, err = data("fetch", "toy")
    assert code == 0 and "404" in err and "trying another address" in err
    data.know(file | {"urls": [server.base + "gone.bin", "http://127.0.0.1:9/a.bin"]}, name="other")
    code, _, err = data("fetch", "other")
    assert code == 1 and "404" in err and "no connection" in err and "HTTPS_PROXY" in err and "XBAR_DATA" in err
    assert not (cache() / "other").exists()


@needs_pooch
def test_truncation_is_resumed_by_the_next_command(data, server):
    server.cut["a.bin"] = [1000, 1000, 1000]
    code, _, err = data("fetch", "toy")
    assert code == 1 and "stopped after 3000 of 10240 bytes" in err and not (cache() / "toy").exists()
    assert data("fetch", "toy")[0] == 0
    assert server.log[-1] == ("a.bin", "bytes=3000-") and (find("toy") / "a.bin").read_bytes() == BODY


def test_offline_says_what_to_do(data, monkeypatch, server):
    code, out, err = data("fetch", "toy", "--offline")
    assert code == 2 and out == "" and "offline" in err and "XBAR_DATA" in err and str(cache()) in err
    monkeypatch.setenv("XBAR_OFFLINE", "1")
    assert data("fetch", "toy")[0] == 2 and not server.log


def test_without_pooch_the_message_says_how_to_get_it(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    code, _, err = data("fetch", "toy")
    assert code == 2 and "pip install 'xbar-sim[data]'" in err


@needs_pooch
def test_a_cache_that_cannot_be_written_is_named(data, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    code, _, err = data("fetch", "toy")
    assert code == 1 and str(tmp_path / "file") in err and "XDG_CACHE_HOME" in err


@needs_pooch
def test_ctrl_c_leaves_no_half_file_in_place(data, server, tmp_path):
    """A real SIGINT in the middle of a file: exit code 130, and the next command goes on."""
    server.files["a.bin"] = body = BODY * 40
    data.know({"name": "a.bin", "sha256": hashlib.sha256(body).hexdigest(), "urls": [server.base + "a.bin"]})
    server.pause = 0.25
    code = (
        "import pathlib, sys\nfrom experiments.framework.signals import INTERRUPTION\n"
        "INTERRUPTION.listen()  # as the command does: in the main thread Python loses signals, as in destructors\n"
        "from experiments.public_data import command, registry\n"
        f"registry.registry_path = lambda: pathlib.Path({str(tmp_path / 'registry.toml')!r})\n"
        "sys.exit(command.run(['fetch', 'toy']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    part = cache() / ".toy.partial" / ".a.bin.part"
    end = time.monotonic() + 30
    while not (part.is_file() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and out == "" and "the same command resumes" in err and "Traceback" not in err
    assert not (cache() / "toy").exists() and 0 < part.stat().st_size < len(body)
    server.pause = 0.0
    assert data("fetch", "toy")[0] == 0 and server.log[-1][1] and (find("toy") / "a.bin").read_bytes() == body


@needs_pooch
def test_two_processes_load_once(data, server, tmp_path):
    server.files["a.bin"] = body = BODY * 10
    data.know({"name": "a.bin", "sha256": hashlib.sha256(body).hexdigest(), "urls": [server.base + "a.bin"]})
    server.pause = 0.02
    code = (
        "import pathlib, sys\nfrom experiments.public_data import command, registry\n"
        f"registry.registry_path = lambda: pathlib.Path({str(tmp_path / 'registry.toml')!r})\n"
        "sys.exit(command.run(['fetch', 'toy']))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [p.communicate(timeout=60)[0] for p in both]
    assert [p.returncode for p in both] == [0, 0] and said[0] == said[1] and len(server.log) == 1


def recording(samples):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return buffer.getvalue()


@needs_pooch
def test_spoken_digits_become_arrays(data, server):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, samples in {"3_ann_12": [1, -2, 3], "0_bob_1": [7]}.items():
            file.writestr(f"fsdd-main/recordings/{name}.wav", recording(samples))
    server.files["fsdd.zip"] = buffer.getvalue()
    archive = {"name": "fsdd.zip", "unpack": "zip", "strip": 1, "note": "none", "urls": [server.base + "fsdd.zip"]}
    data.know(archive, name="fsdd")
    code, out, _ = data("fetch", "fsdd")
    assert code == 0
    with np.load(pathlib.Path(out.strip()) / "fsdd.npz", allow_pickle=False) as arrays:
        assert arrays["audio"].tolist() == [7, 1, -2, 3] and arrays["length"].tolist() == [1, 3]
        assert arrays["digit"].tolist() == [0, 3] and arrays["speaker"].tolist() == ["bob", "ann"]
        assert arrays["index"].tolist() == [1, 12] and arrays["audio"].dtype == np.int16 and arrays["rate"] == 8000
    server.files["fsdd.zip"] = server.files["fsdd.zip"][:-40]
    code, _, err = data("fetch", "fsdd", "--again")
    assert code == 1 and "damaged" in err and (pathlib.Path(out.strip()) / "fsdd.npz").is_file()


@needs_pooch
def test_keyword_inputs_become_what_the_loader_reads(data, server):
    values = np.random.default_rng(0).integers(-128, 128, (2, 49, 10)).astype(np.int8)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for i, name in enumerate(("tst_000000_Stop_7", "tst_000001_Left_2")):
            file.writestr(f"energyrunner-main/datasets/kws01/{name}.bin", values[i].tobytes())
    server.files["inputs.zip"] = buffer.getvalue()
    archive = {"name": "i.zip", "unpack": "zip", "strip": 1, "note": "none", "urls": [server.base + "inputs.zip"]}
    data.know(archive, name="mlperf-tiny-inputs")
    assert data("fetch", "mlperf-tiny-inputs")[0] == 0
    found = datasets.load("keywords")
    np.testing.assert_allclose(found.x_test, (values - 83.0) * 0.58470291, rtol=1e-6)
    assert found.y_test.tolist() == [7, 2] and len(found.x_train) == 0


def test_a_list_of_checksums_is_believed(tmp_path):
    (tmp_path / "100.dat").write_bytes(b"beats")
    with pytest.raises(ArchiveError, match="no SHA256SUMS"):
        held_against_its_sums(tmp_path)
    (tmp_path / "SHA256SUMS.txt").write_text(f"{hashlib.sha256(b'beats').hexdigest()}  100.dat\n")
    assert held_against_its_sums(tmp_path) == ()
    (tmp_path / "100.dat").write_bytes(b"other")
    with pytest.raises(ArchiveError, match=r"100.dat is not"):
        held_against_its_sums(tmp_path)


@pytest.mark.parametrize("file, said", [
    ({"name": "../a", "note": "n", "urls": ["http://x/a"]}, "inside the folder"),
    ({"name": "/a", "note": "n", "urls": ["http://x/a"]}, "inside the folder"),
    ({"name": "a", "note": "n", "urls": ["file:///a"]}, "no http address"), ({"name": "a", "note": "n"}, "no http"),
    ({"name": "a", "sha256": "12", "urls": ["http://x/a"]}, "64 hexadecimal"),
    ({"name": "a", "urls": ["http://x/a"]}, "note saying why"),
    ({"name": "a", "note": "n", "urls": ["http://x/a"], "unpack": "rar"}, "unpacked"),
])  # fmt: skip
def test_a_registry_that_cannot_be_is_refused(data, file, said):
    data.know(file)
    code, _, err = data("list")
    assert code == 2 and said in err


@pytest.mark.parametrize("arguments, said", [
    (["fetch"], "needs the name"), (["fetch", "tay"], "Did you mean 'toy'"), (["path", "tay"], "not here"),
    (["lst"], "no action"),
    (["fetch", "toy", "--nonsense"], "nonsense"), (["path", "../.."], "not here"),
])  # fmt: skip
def test_bad_usage(data, arguments, said):
    code, out, err = data(*arguments)
    assert code == 2 and out == "" and said in err


def test_list(data):
    code, out, _ = data("list")
    assert code == 0 and "toy" in out and "not here" in out
    assert "SHA-256" in data("list", "toy")[1] and json.loads(data("list", "--json")[1])[0]["folder"] is None
    assert data("--help")[0] == 0 == data()[0]


def test_what_ships():
    """Every entry of the registry is whole, and has its licence and citation."""
    entries = registry.entries()
    assert {"mnist", "fashion-mnist", "cifar10", "mitbih", "fsdd", "mlperf-tiny-models", "tinyshakespeare"} <= set(
        entries
    )
    for entry in entries.values():
        assert entry.licence and entry.citation.startswith("@") and entry.shapes and entry.files
        assert len({source.name for source in entry.files}) == len(entry.files)


def test_the_registry_goes_into_the_wheel():
    project = tomllib.loads((pathlib.Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"] == {"data": "experiments/data"}


def test_progress_off_a_terminal_names_the_time_that_remains(monkeypatch, capsys):
    clock = iter([0.0, 6.0, 12.0, 13.0])
    monkeypatch.setattr(command.time, "monotonic", lambda: next(clock))
    with command.meter("x") as progress:
        progress(0, 4_000_000)
        progress(2_000_000, 4_000_000)
        progress(4_000_000, 4_000_000)
    err = capsys.readouterr().err
    assert "x: 2.0 of 4.0 MB, about 12 s left" in err and "4.0 of 4.0 MB" in err


@pytest.mark.skipif(not os.environ.get("XBAR_DATA"), reason="XBAR_DATA names no folder with copies of data sets")
def test_copies_are_those_of_the_registry():
    """Files of the registry that lie below XBAR_DATA under their own name have its checksum."""
    checked = 0
    for entry in registry.entries().values():
        try:
            folder = find(entry.name)
        except UsageError:
            continue
        for source in entry.files:
            path = folder / source.name
            if source.sha256 and path.is_file() and not path.name.endswith("ubyte.gz"):  # may be gzipped again
                checked += 1
                assert hashlib.sha256(path.read_bytes()).hexdigest() == source.sha256, path
    assert checked or not find("tinyshakespeare").is_dir()
