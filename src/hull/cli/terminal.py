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
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from hull.cli.command import Call, say
from hull.errors import HostError
from hull.wire import JsonObject

CHUNK = 65536


def console(call: Call, uuid: str, *, escape: bytes) -> int:
    """Join the zone's console until the escape byte, or `~.` at the start of a line."""
    answer = call("GET", f"/vms/{uuid}/console")
    assert isinstance(answer, dict)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        try:
            sock.connect(str(answer["socket"]))
        except OSError as exc:
            raise HostError(f"cannot reach the console of {uuid}: {exc.strerror}") from None
        say(f"[Connected to zone '{uuid}' console; {_name(escape)} or ~. leaves it]")
        with raw_terminal():
            _follow_size(lambda rows, columns: _resize(str(answer["control"]), rows, columns))
            _relay_console(sock, escape)
    say(f"\n[Connection to zone '{uuid}' console closed]")
    return 0


def _name(escape: bytes) -> str:
    return f"^{chr(escape[0] + 64)}" if escape[0] < 32 else escape.decode()


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


def _relay_console(sock: socket.socket, escape: bytes) -> None:
    """conmon marks each packet that it sends with one byte that names the stream."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(sock, select.POLLIN)
    leaving = Escape(escape)
    while True:
        for fd, _ in poll.poll():
            if fd == 0:
                data = os.read(0, CHUNK)
                if not data or leaving.seen(data):
                    return
                sock.sendall(data)
            else:
                packet = sock.recv(CHUNK)
                if not packet:
                    return
                write_all(1, packet[1:])


class Escape:
    """Finds the escape byte, and ssh's `~.` at the start of a line, in what is typed."""

    def __init__(self, byte: bytes) -> None:
        self._byte = byte
        self._line = b"\n"

    def seen(self, data: bytes) -> bool:
        for n in range(len(data)):
            key = data[n : n + 1]
            if key == self._byte or self._line + key in (b"\n~.", b"\r~."):
                return True
            starts = key in (b"\r", b"\n")
            self._line = (
                key if starts else (self._line + key)[-2:] if self._line[:1] in b"\r\n" else b"x"
            )
        return False


def login(argv: list[str], tty_socket: str) -> int:
    """Run a program that hands over a pty of the zone's own, and relay; returns its status."""
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
    with raw_terminal():
        _follow_size(lambda rows, columns: _set_size(master, rows, columns))
        _relay_pty(master)
    os.close(master)
    return _status(os.waitpid(pid, 0)[1])


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

    def __init__(self, poll: select.poll, sink: int, sink_events: int) -> None:
        os.set_blocking(sink, False)
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
            self._rest = self._rest or os.read(0, CHUNK)
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


def _relay_pty(master: int) -> None:
    poll = select.poll()
    feed = Feed(poll, master, select.POLLIN)
    while True:
        for fd, event in poll.poll():
            wants = fd == 0 or bool(event & select.POLLOUT)
            if wants and feed.open and not feed.push():
                feed.stop()
            if fd == master and event & ~select.POLLOUT:
                try:
                    data = os.read(master, CHUNK)
                except OSError:  # EIO: the last process has left the pty
                    return
                if not data:
                    return
                write_all(1, data)


def command(argv: list[str]) -> int:
    """Run a program with pipes for its standard files; returns its status."""
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


def process(user: str, command_words: list[str], *, terminal: bool) -> JsonObject:
    """What hulld needs to know of the wanted login."""
    size = os.get_terminal_size(0) if terminal and os.isatty(0) else os.terminal_size((80, 24))
    return {
        "user": user,
        "command": " ".join(command_words),
        "terminal": terminal,
        "term": os.environ.get("TERM", "vt100") if terminal else "",
        "rows": size.lines,
        "columns": size.columns,
    }


def interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()
