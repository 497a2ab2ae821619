"""Whatever stands in a device file, reading it ends in a device or in a `DeviceFileError` that names the key."""

import datetime
import functools
import random
import time
import tomllib
import warnings

import jax
import law_cases as cases
import pytest
import tomli_w
from test_device_file import NAMES, drawn

import devices
from devices.device_file import DeviceFileError, load, load_draws, save

GOOD = "format = 1\n[device]\ng_min = 1e-6\ng_max = 1e-4\n"
DRIFT = '[device.drift]\ntype = "drift.PowerLawDrift"\n'
POSTERIOR = GOOD + "[posterior]\n"


@pytest.mark.parametrize(
    "text, said",
    [
        (GOOD.replace("1e-4", "inf"), "g_max=inf S"),
        (GOOD.replace("1e-4", "[]"), r"device.g_max is an array of shape \(0,\); it takes a number"),
        (GOOD.replace("1e-4", "[1e-4, 2e-4]"), r"device.g_max is an array of shape \(2,\); it takes a number"),
        (GOOD.replace("1e-4", "true"), "g_max is True .bool.; it takes a finite number"),
        (GOOD.replace("1e-4", "1979-05-27"), "device.g_max = 1979-05-27 is a date; it takes numbers"),
        (GOOD.replace("1e-4", "07:32:00"), "device.g_max = 07:32:00 is a time"),
        (GOOD.replace("1e-4", "1" + "0" * 400), "device.g_max is a whole number beyond 64 bits"),
        (GOOD.replace("1e-4", "1" + "0" * 5000), "not a TOML file: .*4300 digits"),
        (GOOD.replace("1e-4", "'1e-4'"), "g_max is '1e-4' .str.; it takes a finite number"),
        (GOOD.replace("1e-4", "{ a = 1 }"), "g_max is .*; it takes a finite number"),
        (GOOD + "g_mid = 1", "device: Device has no g_mid; it has g_min, g_max, programming"),
        (GOOD + "drift = 'x'", "device.drift = 'x' is not a law; .* type = one of drift.NoDrift, drift.PowerLaw"),
        (GOOD + "drift = 3", "device.drift = 3 is not a law"),
        (GOOD + "update = true", "device.update = True is not a law; .* one of updates."),
        (GOOD + "drift = 1979-05-27T07:32:00", "device.drift = 1979-05-27 07:32:00 is a datetime"),
        (GOOD + "drift = { type = 3 }", "device.drift: unknown law 3; known laws are"),
        (GOOD + "drift = { type = ['drift.NoDrift'] }", "unknown law .'drift.NoDrift'"),
        (GOOD + "drift = { type = 'noise.NoReadNoise' }", "device.drift is NoReadNoise.*; it takes AbstractDrift"),
        (GOOD + DRIFT, "device.drift: PowerLawDrift needs nu_mean"),
        (GOOD + "x = " + "[" * 900 + "]" * 900, "nested more than 16 deep"),
        (GOOD + "x = " + "[" * 100 + "]" * 100, "device.x.* nested more than 16 deep"),
        (GOOD + "a." * 20_000 + "a = 1", "a key of more than 32 parts"),
        (GOOD + "[" + "a . " * 20_000 + "a]", "a key of more than 32 parts"),
        (GOOD + '"a".' * 20_000 + "a = 1", "a key of more than 32 parts"),
        ("format = 1\ndevice = 3", "device = 3 is not a table"),
        ("format = 1\ndevice = []", r"device = \[\] is not a table"),
        ("unmeasured = 3\n" + GOOD, "unmeasured = 3; it takes a list of words"),
        ("format = true\n[device]", "it needs `format = 1`"),
        (GOOD + "[posteriors]", "has posteriors; a device file has format, unmeasured, provenance, device, posterior"),
        ("provenance = 3\n" + GOOD, "provenance = 3 is not a table"),
        (GOOD + "[provenance]\nname = 3", "provenance.name is 3; it takes a word in quotes"),
        (GOOD + "[provenance]\nname = 'x'\nnotes = 'y'", "provenance.notes is 'y'; it takes a list, of a word"),
        (GOOD + "[provenance]\nspan = [1.0]", r"provenance.span is \(1.0,\); it takes a list, of a finite number and"),
        (GOOD + "[provenance]\nvolts = inf", "provenance.volts is inf; it takes a finite number or nothing"),
        ("posterior = 3\n" + GOOD, "posterior = 3 is not a table"),
        (POSTERIOR + "draws = { g_max = [] }", r"\[posterior\] has draws = .*; it takes count, a whole number of 1"),
        *((POSTERIOR + f"count = {n}\n", f"count = {n}; it takes count, a whole number of 1") for n in (0, -1, "inf", 2.5)),
        (POSTERIOR + "count = 2\ndraws = 3", "posterior.draws = 3 is not a table"),
        (POSTERIOR + "count = 2\ndraws = { g_max = [1e-4] }", "posterior.draws.g_max is 1 numbers in shape .1,.; it takes 2"),
        (POSTERIOR + "count = 2\ndraws = { g_max = [1e-4, nan] }", r"posterior.draws.g_max\[1\] is not a number"),
        (POSTERIOR + "count = 2\ndraws = { g_max = [1e-4, -1.0] }", "posterior.draws.g_max = -1 S; it takes a finite number"),
        (POSTERIOR + "count = 2\ndraws = { g_max = [1e-4, 1e-9] }", "g_min that is not below g_max in some draws"),
        (POSTERIOR + "count = 2\ndraws = { g_max = ['1e-4', 'x'] }", "posterior.draws.g_max = .*; it takes 2 numbers"),
        (POSTERIOR + "count = 2\ndraws = { g_max = [[1e-4], [1e-4, 2e-4]] }", "g_max = .*; it takes 2 numbers"),
        (POSTERIOR + "count = 2\ndraws = { nu = [1e-4, 1e-4] }", "has nu, which the device does not have; it has g_min"),
    ],
)  # fmt: skip
def test_each_wrong_value_is_refused_with_its_key(text, said, tmp_path):
    (tmp_path / "device.toml").write_text(text)
    began = time.perf_counter()
    for read in (load, functools.partial(load_draws, count=3)):
        with pytest.raises(DeviceFileError, match=said) as caught:
            read(tmp_path / "device.toml")
        assert str(caught.value).startswith(str(tmp_path / "device.toml"))
    assert time.perf_counter() - began < 3.0


VALUES = [
    0, 1, -1, 3, 2**40, 10**400, 0.0, 1e-6, -1e-6, 1e300, 1e-300, float("inf"), float("-inf"), float("nan"), True, False, "",
    "x", "drift.NoDrift", "curves.Constant", "os.system", [], [1.0], [1.0, 2.0], [2.0, 1.0], [[1.0, 2.0], [3.0]], [[]], ["x"],
    [{}], {}, {"type": "drift.NoDrift"}, {"type": "curves.Constant", "value": 1e-6}, {"type": 3}, {"a": {"b": [1]}},
    datetime.date(2020, 1, 1), datetime.time(1, 2), datetime.datetime(2020, 1, 1), [datetime.date(2020, 1, 1)],
]  # fmt: skip
PIECES = [
    b"=",
    b"[",
    b"]",
    b"\n",
    b"{",
    b"}",
    b".",
    b'"',
    b"-",
    b"e99",
    b"inf",
    b"nan",
    b",",
    b"0",
    b"#",
    b"\xff",
    b"\x00",
]


def places(value, at=()):
    """The way to every value of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(*at, key) for key, _ in inner]
    return found + [place for key, one in inner for place in places(one, (*at, key))]


def changed(text, rng):
    """The text with values replaced, left out, renamed or swapped; or bytes of it put in, taken out, or cut off."""
    if rng.random() < 0.2:
        data = text.encode()
        at = rng.randrange(len(data))
        return rng.choice(
            [data[:at], data[:at] + rng.choice(PIECES) + data[at:], data[:at] + data[at + rng.choice([1, 9]) :]]
        )
    document = tomllib.loads(text)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        all_places = places(document)
        (*parents, last), other = rng.choice(all_places), rng.choice(all_places)
        owner = functools.reduce(lambda at, key: at[key], parents, document)
        what = rng.random()
        if what < 0.7 or not isinstance(owner, dict):
            owner[last] = rng.choice(VALUES)
        elif what < 0.8:
            del owner[last]
        elif what < 0.9:
            owner[str(other[-1])] = owner.pop(last)
        else:
            owner[last] = tomllib.loads(text) if rng.random() < 0.1 else owner[last]
    return tomli_w.dumps(document).encode()


def check_reading(path):
    """A device, or the promised error with the name of the file; anything else is a fault."""
    said = str(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UserWarning)  # numbers that are far outside any device
            load(path)
            if "posterior" in tomllib.loads(path.read_text()):
                load_draws(path, 3)
    except DeviceFileError as error:
        said = str(error)
    assert said.startswith(str(path))
    return said == str(path)


@functools.cache
def examples(folder):
    """Text of the files of every published device and of every law, and of a device with a posterior."""
    texts = []
    for name in NAMES:
        save(devices.find(name)(), folder / "device.toml")
        texts.append((folder / "device.toml").read_text())
    for kind, _, law, _ in cases.EVERY:
        save(devices.Device(1e-6, 25e-6, **{"read_noise" if kind == "noise" else kind: law}), folder / "device.toml")
        texts.append((folder / "device.toml").read_text())
    for name in ("pcm_joshi2020",):
        save(devices.find(name)(), folder / "device.toml", drawn(devices.find(name)()))
        texts += 20 * [(folder / "device.toml").read_text()]
    return texts


def mutate(tmp_path_factory, count, seed):
    folder = tmp_path_factory.mktemp("files")
    texts, rng, read = examples(folder), random.Random(seed), 0
    for _ in range(count):
        (folder / "device.toml").write_bytes(changed(rng.choice(texts), rng))
        read += check_reading(folder / "device.toml")
    assert 0 < read < count


def test_changed_device_files(tmp_path_factory):
    mutate(tmp_path_factory, 200, 0)


@pytest.mark.slow
def test_many_changed_device_files(tmp_path_factory):
    for seed in range(1, 11):
        mutate(tmp_path_factory, 300, seed)
        jax.clear_caches()
