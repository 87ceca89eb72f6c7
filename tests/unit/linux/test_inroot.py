# SPDX-License-Identifier: MPL-2.0
"""A hostile zone root: no path leads out of it, whenever it is looked at."""

import fcntl
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hull.errors import Exists, HostError, KernelError, NotFound
from hull.linux import inroot


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("the host's")
    return tmp_path


def test_write_and_read(host: Path) -> None:
    inroot.write_file(host / "root", "/etc/hosts", b"the zone's", 0o640)
    assert (host / "root/etc/hosts").read_text() == "the zone's"
    assert (host / "root/etc/hosts").stat().st_mode & 0o7777 == 0o640
    assert inroot.read_file(host / "root", "etc/hosts", 3) == b"the"
    assert os.listdir(host / "root/etc") == ["hosts"]


def test_a_symlinked_directory_leads_inside(host: Path) -> None:
    (host / "root/etc").rmdir()
    (host / "root/etc").symlink_to(host / "etc")
    with pytest.raises(NotFound):
        inroot.write_file(host / "root", "/etc/hosts", b"x")
    assert (host / "etc/hosts").read_text() == "the host's"
    (host / "root/usr").mkdir()
    (host / "root/etc").unlink()
    (host / "root/etc").symlink_to("/usr")
    inroot.write_file(host / "root", "/etc/hosts", b"x")
    assert (host / "root/usr/hosts").read_bytes() == b"x"


@pytest.mark.parametrize("target", ["../../etc/hosts", "/etc/hosts", "/proc/1/root/etc/hosts"])
def test_a_symlink_at_the_end_is_replaced(host: Path, target: str) -> None:
    link = host / "root/etc/hosts"
    link.symlink_to(target)
    with pytest.raises(NotFound):
        inroot.read_file(host / "root", "/etc/hosts", 100)
    assert not inroot.exists(host / "root", "/etc/hosts")
    inroot.write_file(host / "root", "/etc/hosts", b"x")
    assert not link.is_symlink()
    assert link.read_bytes() == b"x"
    assert (host / "etc/hosts").read_text() == "the host's"


@pytest.mark.parametrize("path", ["/", "", "/etc/..", "..", "/.."])
def test_a_path_must_name_a_file(host: Path, path: str) -> None:
    with pytest.raises(HostError):
        inroot.write_file(host / "root", path, b"x")


def test_dots_stay_inside(host: Path) -> None:
    inroot.write_file(host / "root", "/../../etc/hosts", b"x")
    assert (host / "root/etc/hosts").read_bytes() == b"x"
    assert (host / "etc/hosts").read_text() == "the host's"


def test_what_is_the_same_is_not_written(host: Path) -> None:
    path = host / "root/etc/motd"

    def is_replaced(data: bytes, mode: int = 0o644) -> bool:
        before = path.stat(follow_symlinks=False).st_ino
        inroot.write_file(host / "root", "/etc/motd", data, mode)
        assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (data, mode)
        assert not path.is_symlink()
        return path.stat().st_ino != before

    inroot.write_file(host / "root", "/etc/motd", b"hello")
    assert not is_replaced(b"hello")
    assert is_replaced(b"hullo")
    assert is_replaced(b"hullo", 0o600)
    (host / "root/etc/other").hardlink_to(path)
    assert is_replaced(b"hullo", 0o600)
    path.rename(host / "root/etc/target")
    path.symlink_to("target")
    assert is_replaced(b"hullo", 0o600)


def test_a_fifo_does_not_hang_the_reader(host: Path) -> None:
    os.mkfifo(host / "root/etc/motd")
    with pytest.raises(HostError):
        inroot.read_file(host / "root", "/etc/motd", 1)
    inroot.write_file(host / "root", "/etc/motd", b"now a file")
    assert inroot.read_file(host / "root", "/etc/motd", 100) == b"now a file"


def test_a_lease_does_not_hang_the_reader(host: Path) -> None:
    (host / "root/etc/motd").write_text("leased")
    with (host / "root/etc/motd").open("r+") as holder:
        fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel asks for it back
        begun = time.monotonic()
        try:
            with pytest.raises(KernelError, match="temporarily unavailable"):
                inroot.read_file(host / "root", "/etc/motd", 10)
        finally:
            fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            signal.signal(signal.SIGIO, signal.SIG_DFL)
    assert time.monotonic() - begun < 10  # it would be 45
    assert inroot.read_file(host / "root", "/etc/motd", 10) == b"leased"


def test_a_directory_is_not_replaced(host: Path) -> None:
    (host / "root/etc/hosts").mkdir()
    with pytest.raises(Exists):
        inroot.write_file(host / "root", "/etc/hosts", b"x")
    assert os.listdir(host / "root/etc") == ["hosts"]
    with pytest.raises(HostError):
        inroot.read_file(host / "root", "/etc/hosts", 1)


def test_make_dirs(host: Path) -> None:
    (host / "root/var").symlink_to("/srv/var")
    inroot.make_dirs(host / "root", "/srv/var/db", 0o700)
    inroot.make_dirs(host / "root", "/var/db")  # there already, and through a symlink
    assert (host / "root/srv/var/db").stat().st_mode & 0o777 == 0o700
    (host / "root/out").symlink_to(host / "etc")
    with pytest.raises(NotFound):
        inroot.make_dirs(host / "root", "/out/new")
    assert os.listdir(host / "etc") == ["hosts"]
    (host / "root/file").write_text("")
    with pytest.raises(NotFound):
        inroot.make_dirs(host / "root", "/file")


def test_remove(host: Path) -> None:
    (host / "root/out").symlink_to(host / "etc")
    inroot.remove(host / "root", "/out/hosts")
    inroot.remove(host / "root", "/out")
    inroot.remove(host / "root", "/out")
    inroot.remove(host / "root", "/no/such/thing")
    assert (host / "etc/hosts").exists()
    assert not (host / "root/out").is_symlink()
    inroot.remove(host / "root", "/etc")
    assert os.listdir(host / "root") == []


def test_a_race_cannot_be_won(host: Path) -> None:
    """A directory turns into a symlink to the host's and back, as fast as it can."""
    root, outside = host / "root", host / "etc"
    (root / "etc.real").mkdir()
    os.rename(root / "etc", root / "dir")
    (root / "link").symlink_to(outside)
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            for name in ("dir", "link"):
                os.rename(root / name, root / "etc")
                time.sleep(0)  # the other thread's turn, wherever it is
                os.rename(root / "etc", root / name)

    attacker = threading.Thread(target=flip)
    attacker.start()
    written = 0
    try:
        deadline = time.monotonic() + 60
        tries = 0
        while (tries < 1500 or not written) and time.monotonic() < deadline:
            tries += 1
            try:
                inroot.write_file(root, "/etc/evil", b"x")
                written += 1
            except NotFound:
                continue
    finally:
        stop.set()
        attacker.join()
    assert written > 0  # the directory was there now and then: the race was on
    assert os.listdir(outside) == ["hosts"]
