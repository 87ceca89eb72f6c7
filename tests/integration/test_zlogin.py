# SPDX-License-Identifier: MPL-2.0
"""zlogin on real zones: the safe way in, the console over a reboot, `~.`, statuses."""

import os
import pty
import select
import time
from collections.abc import Iterator

import pytest

from tests.integration.hosts import BIN, TestHost

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]


@pytest.fixture
def zone(clean_host: TestHost, base_image: str) -> str:
    return clean_host.create(alias="login", image_uuid=base_image)


class Typed:
    """zlogin on a terminal."""

    def __init__(self, host: TestHost, *args: str) -> None:
        self.seen = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            environment = os.environ | {"HULL_ROOT": str(host.root), "TERM": "dumb"}
            os.execve(str(BIN / "zlogin"), ["zlogin", *args], environment)

    def type(self, data: str) -> None:
        os.write(self.master, data.encode())

    def expect(self, wanted: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while wanted.encode() not in self.seen:
            ready = select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"no {wanted!r} in {self.seen[-500:]!r}"
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                break
        assert wanted.encode() in self.seen
        self.seen = self.seen.partition(wanted.encode())[2]

    def end(self) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.master)
                return os.waitstatus_to_exitcode(status)
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    time.sleep(0.05)
        os.kill(self.pid, 9)
        raise AssertionError("zlogin does not end")


@pytest.fixture
def console(clean_host: TestHost, zone: str) -> Iterator[Typed]:
    made = Typed(clean_host, "-C", zone)
    made.expect(f"[Connected to zone '{zone}' console]")
    yield made
    made.type("\r~.")
    assert made.end() == 0


def test_statuses(clean_host: TestHost, zone: str) -> None:
    def status(*args: str) -> int:
        return clean_host("zlogin", *args, check=False).returncode

    assert status(zone, "exit 0") == 0
    assert status("login", "exit 3") == 3
    assert status("-z", zone, "exit", "4") == 4
    assert status(zone, "kill -9 $$") in (137, 255)
    assert status("nosuch", "true") == 1
    assert status("-S", "-l", "root", zone) == 2
    done = clean_host("zlogin", zone, "cat", stdin="through\n")
    assert done.stdout == "through\n"
    assert clean_host("zlogin", "-N", zone, "cat", stdin="through\n").stdout == ""
    assert clean_host("zlogin", "-i", zone, stdin="echo shell; exit 5\n", check=False).stdout
    clean_host("zoneadm", "-z", zone, "halt")
    down = clean_host("zlogin", zone, "true", check=False)
    assert down.returncode == 1
    assert 'when state is "stopped" must be "running".' in down.stderr


def test_the_safe_way_into_a_zone_with_a_broken_passwd(clean_host: TestHost, zone: str) -> None:
    clean_host("zlogin", zone, "echo garbage > /etc/passwd; rm -f /etc/shadow")
    broken = Typed(clean_host, zone)
    assert broken.end() != 0
    assert clean_host("zlogin", "-S", zone, "id -u").stdout == "0\n"
    safe = Typed(clean_host, "-S", zone)
    safe.expect("# ")  # before that the terminal throws away what is typed
    safe.type("echo in-$((40+2)); exit 6\r")
    safe.expect("in-42")
    assert safe.end() == 6


def test_a_login_is_left_by_its_escape(clean_host: TestHost, zone: str) -> None:
    session = Typed(clean_host, "-e", "%", zone)
    session.expect("# ")
    session.type("echo $((6*7))-here; trap '' TERM; sleep 1000\r")
    session.expect("42-here")
    session.type("~.\r%.")
    session.end()
    assert b"Connection to zone" in session.seen
    left = clean_host("zlogin", zone, "ps -e | grep -c '[s]leep 1000'", check=False).stdout
    assert left == "0\n"


def test_the_console_survives_reboots(clean_host: TestHost, zone: str, console: Typed) -> None:
    clean_host("vmadm", "stop", zone, "-F")
    console.expect("[NOTICE: Zone halted]")
    clean_host("vmadm", "start", zone)
    console.expect("[NOTICE: Zone booting up]")
    clean_host("zlogin", zone, "echo printed there > /dev/console")
    console.expect("printed there")
    clean_host("vmadm", "reboot", zone, "-F")
    console.expect("[NOTICE: Zone halted]")
    console.expect("[NOTICE: Zone booting up]")


def test_a_console_that_ends_with_its_zone(clean_host: TestHost, zone: str) -> None:
    watched = Typed(clean_host, "-C", "-d", zone)
    watched.expect("console]")
    clean_host("zoneadm", "-z", zone, "halt")
    watched.expect("[NOTICE: Zone halted]")
    assert watched.end() == 0
