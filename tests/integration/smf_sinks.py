# SPDX-License-Identifier: MPL-2.0
"""A mail server and a web server on the loopback that write down what they are told."""

import json
import socket
import socketserver
import threading
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


class Mail(socketserver.ThreadingTCPServer):
    """Takes mail. `answer`, given a receiver, says what RCPT is answered."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _MailHandler)
        self.port: int = self.server_address[1]
        self.taken: list[tuple[list[str], Message]] = []
        self.answer: Callable[[str], bytes] = lambda receiver: b"250 ok"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _MailHandler(socketserver.StreamRequestHandler):
    server: Mail  # type: ignore[mutable-override]  # nobody sets it

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        receivers: list[str] = []
        for line in self.rfile:
            verb, _, rest = line.decode().strip().partition(" ")
            verb = verb.upper()
            if verb == "DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.taken.append((receivers, message_from_bytes(self._data())))
                receivers = []
            elif verb == "RCPT":
                receivers.append(rest.partition("<")[2].rstrip(">"))
                self.wfile.write(self.server.answer(receivers[-1]) + b"\r\n")
                continue
            self.wfile.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
            if verb == "QUIT":
                return

    def _data(self) -> bytes:
        lines = b""
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines += line
        return lines


class Web(ThreadingHTTPServer):
    """Takes JSON objects; answers `status`."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _WebHandler)
        self.port: int = self.server_address[1]
        self.taken: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 204
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=b"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _WebHandler(BaseHTTPRequestHandler):
    server: Web  # type: ignore[mutable-override]  # nobody sets it

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status < 300:
            self.server.taken.append(json.loads(body))
        self.server.headers.append({**dict(self.headers), "path": self.path})
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's word
        """Not to the test's output."""
