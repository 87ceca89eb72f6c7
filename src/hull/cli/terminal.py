# SPDX-License-Identifier: MPL-2.0
"""The operator's terminal joined to a zone: its console, a login, a command.

Nothing of the operator's is ever handed into a zone: bytes are relayed, a login gets a pty of the
zone's own, a command gets pipes.
"""

import array
import fcntl
import os
import select
import signal
import socket
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from hull.cli.command import Call, say
from hull.errors import Error, HostError, InvalidState
from hull.wire import JsonObject

CHUNK = 65536
KEYCTL = {"x86_64": 250, "aarch64": 219}  # the system call's number
KEYCTL_JOIN_SESSION_KEYRING = 1
RETRY_SECONDS = 1.0  # between two attempts to reach hulld


class Escape:
    """Finds in what is typed the way out: `~.` at the start of a line, and one key of its own.

    `first` replaces the `~`; empty, as `key` may be too, there is no such way.
    """

    def __init__(self, first: bytes = b"~", key: bytes = b"") -> None:
        self._first = first
        self._key = key
        self._line = b"\n"

    def __str__(self) -> str:
        ways = [_name(self._key)] if self._key else []
        return " or ".join([*ways, *([f"{_name(self._first)}."] if self._first else [])])

    def seen(self, data: bytes) -> bool:
        for n in range(len(data)):
            key = data[n : n + 1]
            if self._key and key == self._key:
                return True
            if self._first and self._line + key in (b"\n" + self._first + b".",):
                return True
            if key in (b"\r", b"\n"):
                self._line = b"\n"
            else:
                self._line = (self._line + key)[:3]
        return False


def _name(key: bytes) -> str:
    return f"^{chr(key[0] + 64)}" if key[0] < 32 else key.decode()


def console(call: Call, uuid: str, *, escape: bytes) -> int:
    """Join the console of a running zone until the escape key, `~.`, or the zone's end."""
    way_out = Escape(key=escape)
    with _connect(call, uuid) as link:
        say(f"[Connected to zone '{uuid}' console; {way_out} leaves it]")
        with raw_terminal():
            _follow_console(link)
            _relay_console(link.sock, way_out)
    say(f"\n[Connection to zone '{uuid}' console closed]")
    return 0


def watch_console(
    call: Call,
    uuid: str,
    escape: Escape,
    *,
    changes: "Changes",
    until_halt: bool = False,
    quiet: bool = False,
) -> int:
    """Stay at a zone's console, whether it is up or not, until somebody leaves.

    `until_halt` ends it with the zone, `quiet` says nothing of one's own.
    """

    def tell(text: str) -> None:
        if not quiet:
            write_all(2, text.encode())

    tell(f"[Connected to zone '{uuid}' console]\n")
    end = "\r\n" if os.isatty(0) else "\n"
    with raw_terminal():
        first = True
        while True:
            try:
                with _connect(call, uuid) as link:
                    if not first:
                        tell(f"{end}[NOTICE: Zone booting up]{end}")
                    _follow_console(link)
                    if _relay_console(link.sock, escape):
                        break
                tell(f"{end}[NOTICE: Zone halted]{end}")
            except InvalidState:
                pass  # it is down
            first = False
            if until_halt or _wait_for_boot(changes, escape):
                break
    tell(f"\n[Connection to zone '{uuid}' console closed]\n")
    return 0


class Changes:
    """Says when a zone may have changed: a pipe that a thread writes to at each of its events.

    `stream()` yields hulld's events; when it breaks off it is tried anew, as hulld may return.
    """

    def __init__(self, uuid: str, stream: Callable[[], Iterator[JsonObject]]) -> None:
        self.fd, self._told = os.pipe()
        self._uuid = uuid
        self._stream = stream
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            with suppress(Error, OSError, ValueError):
                for event in self._stream():
                    if event.get("type") == "ready" or event.get("zonename") == self._uuid:
                        os.write(self._told, b"!")
            time.sleep(RETRY_SECONDS)


def _wait_for_boot(changes: Changes, escape: Escape) -> bool:
    """Wait until the zone may be up; True if somebody left meanwhile."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(changes.fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            data = os.read(fd, CHUNK)
            if fd == changes.fd:
                return False
            if not data or escape.seen(data):
                return True


class ConsoleLink(NamedTuple):
    """A zone's console, connected."""

    sock: socket.socket
    control: str  # the fifo that takes the window's size


@contextmanager
def _connect(call: Call, uuid: str) -> Iterator[ConsoleLink]:
    """Raises InvalidState if the zone is down."""
    answer = call("GET", f"/vms/{uuid}/console")
    assert isinstance(answer, dict)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(str(answer["socket"]))
        except (FileNotFoundError, ConnectionRefusedError):
            raise InvalidState(f"zone '{uuid}' has no console any more") from None
        except OSError as exc:
            raise HostError(f"cannot reach the console of {uuid}: {exc.strerror}") from None
        yield ConsoleLink(sock, str(answer["control"]))


def _follow_console(link: ConsoleLink) -> None:
    _follow_size(lambda rows, columns: _resize(link.control, rows, columns))


def _resize(control: str, rows: int, columns: int) -> None:
    """conmon's control fifo: message 1 is the size of the window."""
    try:
        fd = os.open(control, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return  # no console any more: the relay will notice
    try:
        os.write(fd, f"1 {rows} {columns}\n".encode())
    finally:
        os.close(fd)


def _relay_console(sock: socket.socket, escape: Escape) -> bool:
    """Until somebody leaves (True) or the zone halts. conmon marks each packet that it sends with
    one byte that names the stream."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(sock, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == 0:
                data = os.read(0, CHUNK)
                if not data or escape.seen(data):
                    return True
                with suppress(BrokenPipeError, ConnectionResetError):  # it is halting
                    sock.sendall(data)
            else:
                packet = sock.recv(CHUNK)
                if not packet:
                    return False
                write_all(1, packet[1:])


def leave_keyring() -> None:
    """Have a session keyring of one's own: what runs in a zone would have the operator's, and his
    keys. crun makes one for a zone's init, and none for who enters.
    """
    import _ctypes  # ctypes takes 3 ms

    if number := KEYCTL.get(os.uname().machine):
        syscall = _ctypes.dlsym(_ctypes.dlopen("", 0), "syscall")
        _ctypes.call_function(syscall, (number, KEYCTL_JOIN_SESSION_KEYRING, 0))


def login(argv: list[str], tty_socket: str, escape: Escape) -> int:
    """Run a program that hands over a pty of the zone's own, and relay; returns its status.

    The escape hangs up: what ran on the pty gets SIGHUP.
    """
    leave_keyring()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(tty_socket)
        listener.listen(1)
        pid = os.posix_spawn(argv[0], argv, _environment())
        try:
            master = _take_pty(listener, pid)
        finally:
            os.unlink(tty_socket)
    if master is None:
        return _status(os.waitpid(pid, 0)[1])
    has_left = True  # by the escape, or because its terminal is gone
    signal.signal(signal.SIGHUP, _terminal_is_gone)
    try:
        with raw_terminal():
            _follow_size(lambda rows, columns: _set_size(master, rows, columns))
            has_left = _relay_pty(master, escape)
    finally:
        os.close(master)
        if has_left:
            hang_up(pid)
    return _status(os.waitpid(pid, 0)[1])


def _terminal_is_gone(*_: object) -> None:
    raise SystemExit(128 + signal.SIGHUP)


def hang_up(pid: int) -> None:
    """Send SIGHUP to all that a process has started.

    The kernel tells the pty's session leader alone, which is su, and su does not pass it on.
    """
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    for each in reversed(found[1:]):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGHUP)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": "/run"}


def _take_pty(listener: socket.socket, pid: int) -> int | None:
    """The pty's file descriptor; None if the program ended without sending one."""
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        if listener.fileno() not in {fd for fd, _ in poll.poll()}:
            return None
        with listener.accept()[0] as connection:
            _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
            return fds[0] if fds else None
    finally:
        os.close(pidfd)


def _set_size(fd: int, rows: int, columns: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, array.array("H", [rows, columns, 0, 0]))


class Feed:
    """Standard input on its way to a zone. It never waits for the zone to read: a zone that waits
    for its own output to be read would wait for ever."""

    def __init__(
        self, poll: select.poll, sink: int, sink_events: int, escape: Escape | None = None
    ) -> None:
        os.set_blocking(sink, False)
        self._escape = escape
        self.left = False  # somebody typed the escape
        self._poll = poll
        self._sink = sink
        self._sink_events = sink_events
        self._rest = b""
        self.open = True
        self._watch()

    def _watch(self) -> None:
        """Wait for the zone while something is left over, else for standard input."""
        if self._rest:
            self._poll.unregister(0)
            self._poll.register(self._sink, self._sink_events | select.POLLOUT)
        else:
            self._poll.register(0, select.POLLIN)
            self._poll.register(self._sink, self._sink_events)

    def push(self) -> bool:
        """Move on what there is; False at its end, or when the zone reads no more."""
        had_rest = bool(self._rest)
        try:
            if not had_rest:
                self._rest = os.read(0, CHUNK)
                if self._escape and self._escape.seen(self._rest):
                    self.left = True
                    return False
            sent = os.write(self._sink, self._rest) if self._rest else -1
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = -1
        if sent < 0:
            return False
        self._rest = self._rest[sent:]
        if bool(self._rest) != had_rest:
            self._watch()
        return True

    def stop(self) -> None:
        """Read no more; the sink is the caller's to close."""
        self.open = False
        with suppress(KeyError):
            self._poll.unregister(0)
        self._poll.register(self._sink, self._sink_events)


def _relay_pty(master: int, escape: Escape) -> bool:
    """Until the last process has left the pty, or somebody its terminal (True)."""
    poll = select.poll()
    feed = Feed(poll, master, select.POLLIN, escape)
    while True:
        for fd, event in poll.poll():
            wants = fd == 0 or bool(event & select.POLLOUT)
            if wants and feed.open and not feed.push():
                if feed.left:
                    return True
                feed.stop()
            if fd == master and event & ~select.POLLOUT:
                try:
                    data = os.read(master, CHUNK)
                except OSError:  # EIO: it has
                    return False
                if not data:
                    return False
                write_all(1, data)


def command(argv: list[str]) -> int:
    """Run a program with pipes for its standard files; returns its status."""
    leave_keyring()
    pipes = [os.pipe() for _ in range(3)]
    inner = [pipes[0][0], pipes[1][1], pipes[2][1]]
    outer = [pipes[0][1], pipes[1][0], pipes[2][0]]
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(inner)]
    pid = os.posix_spawn(argv[0], argv, _environment(), file_actions=actions)
    for fd in inner:
        os.close(fd)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _relay_pipes(*outer)
    return _status(os.waitpid(pid, 0)[1])


def _relay_pipes(stdin: int, stdout: int, stderr: int) -> None:
    """Until the command has closed its output and its errors."""
    sinks = {stdout: 1, stderr: 2}
    poll = select.poll()
    for fd in sinks:
        poll.register(fd, select.POLLIN)
    feed = Feed(poll, stdin, 0)  # an error is told anyway: the command stops reading
    while sinks:
        for fd, event in poll.poll():
            if fd in sinks:
                data = os.read(fd, CHUNK)
                if data:
                    write_all(sinks[fd], data)
                else:
                    poll.unregister(fd)
                    os.close(fd)
                    del sinks[fd]
            elif feed.open:
                wants = fd == 0 or event == select.POLLOUT
                if not (wants and feed.push()):
                    feed.stop()
                    poll.unregister(stdin)
                    os.close(stdin)


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _status(wait_status: int) -> int:
    code = os.waitstatus_to_exitcode(wait_status)
    return code if code >= 0 else 255


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Keys go through as they are; the terminal is put back whatever happens."""
    if not os.isatty(0):
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)


def _follow_size(tell: Callable[[int, int], None]) -> None:
    """Tell the zone's terminal the window's size now and whenever it changes."""

    def changed(*_: object) -> None:
        size = os.get_terminal_size(0)
        tell(size.lines, size.columns)

    if os.isatty(0):
        signal.signal(signal.SIGWINCH, changed)
        changed()


def process(
    user: str, command_words: list[str], *, terminal: bool, safe: bool = False
) -> JsonObject:
    """What hulld needs to know of the wanted login."""
    size = os.get_terminal_size(0) if terminal and os.isatty(0) else os.terminal_size((80, 24))
    return {
        "user": user,
        "command": " ".join(command_words),
        "safe": safe,
        "terminal": terminal,
        "term": os.environ.get("TERM", "vt100") if terminal else "",
        "rows": size.lines,
        "columns": size.columns,
    }


def interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
