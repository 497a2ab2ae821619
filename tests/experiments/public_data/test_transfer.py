"""Fetching over HTTP from a server of this machine that fails in every way: what is kept, what is said."""

import io
import pathlib
import socket
import sys
import tarfile
import zipfile

import pytest

from experiments.public_data import transfer
from experiments.public_data.transfer import DownloadError, download
from experiments.public_data.unpacking import ArchiveError, unpack

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from file_server import serving

BODY = bytes(range(256)) * 400


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as server:
        server.files["a.bin"] = BODY
        yield server


def quiet(have, whole):
    pass


def test_a_whole_file(server, tmp_path):
    seen = []
    download(server.base + "a.bin", tmp_path / "a", lambda have, whole: seen.append((have, whole)))
    assert (tmp_path / "a").read_bytes() == BODY and seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY))
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(server, tmp_path):
    server.cut["a.bin"] = [10_000]
    download(server.base + "a.bin", tmp_path / "a", quiet)
    assert (tmp_path / "a").read_bytes() == BODY
    assert server.log == [("a.bin", None), ("a.bin", "bytes=10000-")]


def test_another_call_goes_on_and_a_changed_file_starts_anew(server, tmp_path):
    server.cut["a.bin"] = [5_000, 5_000, 5_000]
    with pytest.raises(DownloadError, match="stopped after 15000 of 102400 bytes"):
        download(server.base + "a.bin", tmp_path / "a", quiet)
    assert (tmp_path / "a").read_bytes() == BODY[:15_000]
    server.files["a.bin"] = BODY[::-1]
    download(server.base + "a.bin", tmp_path / "a", quiet)
    assert server.log[-1] == ("a.bin", "bytes=15000-") and (tmp_path / "a").read_bytes() == BODY[::-1]


@pytest.mark.parametrize("lacks", ["ranges", "tags"])
def test_servers_that_cannot_go_on_send_all_of_it_again(server, tmp_path, lacks):
    setattr(server, lacks, False)
    server.cut["a.bin"] = [10_000]
    download(server.base + "a.bin", tmp_path / "a", quiet)
    assert (tmp_path / "a").read_bytes() == BODY


def test_what_is_kept_is_longer_than_the_file(server, tmp_path):
    server.cut["a.bin"] = [50_000] * 3
    server.files["a.bin"] = BODY * 2
    with pytest.raises(DownloadError, match="stopped"):
        download(server.base + "a.bin", tmp_path / "a", quiet)
    note = next(tmp_path.glob("*.version"))
    server.files["a.bin"], server.cut = BODY, {}
    note.write_text(f'{server.base}a.bin\n"{hash(BODY)}"')
    download(server.base + "a.bin", tmp_path / "a", quiet)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not(server, tmp_path):
    server.pause = 0.005
    download(server.base + "a.bin", tmp_path / "a", quiet, timeout=0.5)
    assert (tmp_path / "a").read_bytes() == BODY
    server.silent = True
    with pytest.raises(DownloadError, match=r"silent for 0.1 s"):
        download(server.base + "a.bin", tmp_path / "b", quiet, timeout=0.1)


def test_refusals_are_sentences(server, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        download(server.base + "b.bin", tmp_path / "b", quiet)
    assert len(server.log) == 1 and not list(tmp_path.iterdir())
    server.status["a.bin"] = 503
    with pytest.raises(DownloadError, match="503"):
        download(server.base + "a.bin", tmp_path / "b", quiet)
    assert len(server.log) == 1 + transfer.TRIES
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="no connection"):
        download(f"http://127.0.0.1:{port}/a", tmp_path / "b", quiet)
    server.status.clear()
    with pytest.raises(DownloadError, match="102400 bytes, not the 7 of the registry"):
        download(server.base + "a.bin", tmp_path / "b", quiet, size=7)


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members:
            file.writestr(name, body)
    return buffer.getvalue()


def tarred(members, kind=tarfile.REGTYPE, link=""):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size, info.type, info.linkname = (len(body) if kind == tarfile.REGTYPE else 0), kind, link
            file.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


@pytest.mark.parametrize("kind, pack", [("zip", zipped), ("tar", tarred)])
def test_archives(tmp_path, kind, pack):
    (tmp_path / "x").write_bytes(pack([("top/a.txt", b"a"), ("top/deep/b.txt", b"b")]))
    assert sorted(unpack(tmp_path / "x", tmp_path / "out", kind, 1)) == ["a.txt", "deep/b.txt"]
    assert (tmp_path / "out" / "deep" / "b.txt").read_bytes() == b"b"


def linked():
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    return zipped([(info, b"/etc/passwd")])


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@pytest.mark.parametrize("kind, body, said", [
    ("zip", zipped([("../a", b"a")]), "outside"), ("zip", zipped([("/a", b"a")]), "outside"),
    ("zip", zipped([("..\\a", b"a")]), "outside"), ("zip", linked(), "not a regular file"),
    ("zip", zipped([("a", bytes(1 << 25))]), "larger than"), ("zip", zipped([]), "no files"), ("zip", b"PK junk", "damaged"),
    ("zip", zipped([("a", b"1" * 999)])[:-30], "damaged"),
    ("tar", tarred([("../a", b"a")]), "outside"), ("tar", tarred([("a", b"")], tarfile.SYMTYPE, "/etc"), "not a regular file"),
    ("tar", tarred([("a", b"")], tarfile.LNKTYPE, "b"), "not a regular file"),
    ("tar", tarred([("a", b"")], tarfile.FIFOTYPE), "not a regular"),
    ("tar", tarred([("a", bytes(1 << 25))]), "larger than"), ("tar", tarred([("a", bytes(99)), ("a", b"")]), "twice"),
    ("tar", tarred([("a", bytes(range(256)) * 9)])[:-60], "damaged"), ("tar", b"junk", "damaged"),
], ids=lambda value: "archive" if isinstance(value, bytes) else None)  # fmt: skip
def test_archives_of_strangers_write_nothing_elsewhere(tmp_path, kind, body, said):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "x").write_bytes(body)
    with pytest.raises(ArchiveError, match=said):
        unpack(tmp_path / "x", home, kind)
    assert {p.name for p in tmp_path.iterdir()} == {"x", "home"}
    assert all(p.is_file() and not p.is_symlink() for p in home.rglob("*"))
