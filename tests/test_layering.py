"""devices <- xbar <- experiments: nobody imports upwards, and the lower rooms know no plotting, CLI or config library."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
ROOMS = ("devices", "xbar", "experiments")
OUTER = {"matplotlib", "rich", "tyro", "argparse", "yaml"}
FILES_OF_LABS = {
    "csv",
    "gzip",
    "zipfile",
    "h5py",
    "openpyxl",
    "xlrd",
}  # formats of files, known to the rooms below alone
ROOMS_OF_FILES = (("devices", "instruments"), ("xbar", "storage"))
FILES = sorted(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    parts = path.relative_to(ROOT).parts
    room = ROOMS.index(parts[0])
    formats = set() if parts[:2] in ROOMS_OF_FILES else FILES_OF_LABS
    forbidden = set(ROOMS[room + 1 :]) | (OUTER | formats if room < 2 else set())
    assert not forbidden & set(imported(path))


def test_devices_do_not_load_the_readers_of_files():
    readers = ("devices.instruments", "openpyxl", "xlrd", "h5py")
    loaded = f"import sys, devices; print(*(n for n in {readers} if n in sys.modules))"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not result.stdout.split()


def test_there_is_something_to_check():
    assert len(FILES) > 20
