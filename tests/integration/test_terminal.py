# SPDX-License-Identifier: MPL-2.0
"""zlogin's relays with real pipes and real ptys; the program that would enter a zone is a shell."""

import os
import pty
import select
import socket
import subprocess
import termios
import time
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
START = f"import sys; sys.path.insert(0, {str(SRC)!r}); from hull.cli import terminal; "
# What crun does with --console-socket: a pty of the zone's own, handed over.
GIVE_PTY = """
import os, pty, socket, sys
pid, master = pty.fork()
if pid == 0:
    os.execv("/bin/sh", ["sh", "-c", sys.argv[2]])
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
    sock.connect(sys.argv[1])
    socket.send_fds(sock, [b"pty"], [master])
os.close(master)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def run(command: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    code = f"{START}sys.exit(terminal.command(['/bin/sh', '-c', sys.argv[1]]))"
    return subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", code, command],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_output_errors_and_status_are_the_commands_own() -> None:
    done = run("echo out; echo err >&2; exit 3")
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)


def test_a_signal_is_status_255() -> None:
    assert run("kill -9 $$").returncode == 255


def test_much_goes_through_both_ways() -> None:
    """The command's output waits for us while we have input left: neither may wait for ever."""
    data = os.urandom(1 << 20)
    done = run("od -An -v -tx1 | tr -d ' \\n'", data)
    assert bytes.fromhex(done.stdout.decode()) == data


def test_a_command_that_stops_reading_is_not_fed() -> None:
    done = run("head -c 5; exec <&-; echo; echo end", b"x" * (1 << 20))
    assert done.stdout == b"xxxxx\nend\n"
    assert done.returncode == 0


def test_a_command_that_never_reads_ends_by_itself() -> None:
    assert run("exit 4", b"x" * (1 << 20)).returncode == 4


def test_closed_standard_input_is_empty() -> None:
    code = f"{START}sys.exit(terminal.command(['/bin/sh', '-c', 'cat; echo end']))"
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec /usr/bin/python3 -IS -c "$1" <&-', "sh", code],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"end\n"


class Session:
    """`zlogin` on a terminal of its own, typed at by the test."""

    def __init__(self, tmp_path: Path, command: str) -> None:
        helper = tmp_path / "give_pty.py"
        helper.write_text(GIVE_PTY)
        socket = str(tmp_path / "tty.sock")
        argv = ["/usr/bin/python3", str(helper), socket, command]
        code = f"{START}sys.exit(terminal.login({argv!r}, {socket!r}, terminal.Escape()))"
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execv("/usr/bin/python3", ["python3", "-IS", "-c", code])
        self.seen = b""

    def type(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.master, data) :]

    def expect(self, wanted: bytes, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            left = deadline - time.monotonic()
            ready = select.select([self.master], [], [], max(left, 0))[0]
            assert ready, f"no {wanted!r} in {self.seen[-300:]!r}"
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                break
        assert wanted in self.seen

    def end(self) -> int:
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)


def test_a_login_has_a_pty_of_its_own_and_ends_as_the_shell_ends(tmp_path: Path) -> None:
    session = Session(tmp_path, "tty; echo ready; read word; echo got $word; exit 7")
    session.expect(b"ready")
    assert os.ttyname(session.master).encode() not in session.seen
    session.type(b"hello\r")
    session.expect(b"got hello")
    assert session.end() == 7


def test_keys_such_as_ctrl_c_belong_to_the_zone(tmp_path: Path) -> None:
    session = Session(tmp_path, "trap 'echo interrupted; exit 5' INT; echo ready; read word")
    session.expect(b"ready")
    session.type(b"\x03")
    session.expect(b"interrupted")
    assert session.end() == 5


def test_the_windows_size_follows(tmp_path: Path) -> None:
    script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do read word; done"
    session = Session(tmp_path, script)
    session.expect(b"ready")
    termios.tcsetwinsize(session.master, (41, 137))
    session.expect(b"41 137")
    assert session.end() == 0


def test_a_long_paste_is_not_lost(tmp_path: Path) -> None:
    session = Session(tmp_path, "stty raw -echo; echo ready; head -c 100000 | wc -c")
    session.expect(b"ready")
    session.type(b"x" * 100000)
    session.expect(b"100000")
    assert session.end() == 0


def test_the_escape_hangs_up(tmp_path: Path) -> None:
    mark = tmp_path / "hung-up"
    session = Session(
        tmp_path, f"trap 'touch {mark}; exit 9' HUP; echo ready; while :; do read w; done"
    )
    session.expect(b"ready")
    session.type(b"x~.\r")
    session.type(b"~.")
    assert session.end() == 9
    assert mark.exists()


CONSOLE = """
import os, threading, time
from hull.errors import InvalidState
class World:
    def __init__(self): self.asked = 0
    def call(self, method, target):
        self.asked += 1
        path = sys.argv[1]
        if not os.path.exists(path + '.sock'):
            raise InvalidState('down')
        return {'socket': path + '.sock', 'control': path + '.ctl'}
    def stream(self):
        yield {'type': 'ready'}
        while True:
            time.sleep(0.05)
            yield {'type': 'modify', 'zonename': 'z'}
world = World()
changes = terminal.Changes('z', world.stream)
sys.exit(terminal.watch_console(world.call, 'z', terminal.Escape(), changes=changes,
    until_halt='halt' in sys.argv, quiet='quiet' in sys.argv))
"""


class Console:
    """A zone's console that the test plays conmon of."""

    def __init__(self, tmp_path: Path, *options: str) -> None:
        self._path = tmp_path / "con"
        self.seen = b""
        self.boot()
        self.reader = subprocess.Popen(
            ["/usr/bin/python3", "-IS", "-c", START + CONSOLE, str(self._path), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def boot(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.settimeout(30)
        self._listener.bind(f"{self._path}.sock")
        self._listener.listen()

    def accept(self) -> None:
        self._peer = self._listener.accept()[0]
        self._peer.settimeout(30)

    def say(self, text: bytes) -> None:
        self._peer.send(b"\2" + text)

    def halt(self) -> None:
        os.unlink(f"{self._path}.sock")
        self._listener.close()
        self._peer.close()

    def type(self, data: bytes) -> None:
        assert self.reader.stdin
        self.reader.stdin.write(data)
        self.reader.stdin.flush()

    def hear(self) -> bytes:
        return self._peer.recv(4096)

    def expect(self, wanted: bytes) -> None:
        """Read until the operator has seen this."""
        assert self.reader.stdout
        while wanted not in self.seen:
            more = os.read(self.reader.stdout.fileno(), 4096)
            assert more, f"no {wanted!r} in {self.seen!r}"
            self.seen += more

    def end(self) -> bytes:
        try:
            said = self.seen + self.reader.communicate(timeout=30)[0]
        finally:
            self.reader.kill()
        assert self.reader.returncode == 0
        return said


def test_a_console_survives_reboots_of_its_zone(tmp_path: Path) -> None:
    console = Console(tmp_path)
    console.accept()
    console.say(b"first life\n")
    console.type(b"hi\n")
    assert console.hear() == b"hi\n"
    console.halt()
    console.expect(b"halted]")
    console.boot()
    console.accept()
    console.say(b"second life\n")
    console.expect(b"second life")
    console.type(b"~.")
    assert console.end() == (
        b"[Connected to zone 'z' console]\n"
        b"first life\n"
        b"\n[NOTICE: Zone halted]\n"
        b"\n[NOTICE: Zone booting up]\n"
        b"second life\n"
        b"\n[Connection to zone 'z' console closed]\n"
    )
    console.halt()


def test_a_console_can_end_with_its_zone_and_be_quiet(tmp_path: Path) -> None:
    console = Console(tmp_path, "halt", "quiet")
    console.accept()
    console.say(b"only this\n")
    console.halt()
    console.expect(b"only this\n")
    assert console.end() == b"only this\n"


def test_a_zone_that_is_down_can_be_waited_for(tmp_path: Path) -> None:
    console = Console(tmp_path)
    console.accept()
    console.halt()
    console.expect(b"halted]")
    console.type(b"~.")
    assert b"[NOTICE: Zone halted]" in console.end()
