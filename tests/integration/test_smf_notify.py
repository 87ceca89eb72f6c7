# SPDX-License-Identifier: MPL-2.0
"""Notifications: a real configd, the real daemon, servers on the loopback."""

import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from smf.client import Client
from smf.notify import ME
from smf.notify_params import GLOBAL, PROBLEMS
from smf.places import Places
from tests.integration.smf_sinks import Mail, Web, free_port

NATIVE = Path(__file__).parents[2] / "src/native"
CONFIGD = """
import socket, sys
from smf.configd import Configd
from smf.places import Places
from smf.store import Store
places = Places()
listener = socket.socket(socket.AF_UNIX)
import os
store = Store(places.repository, places.nonpersistent)
if os.path.exists(places.door): os.unlink(places.door)
listener.bind(places.door)
listener.listen(64)
Configd(store, listener).serve()
"""
NOTIFY = """
import smf.notify as notify
notify.FIRST_PAUSE, notify.LONGEST_PAUSE, notify.RECONNECT = 0.1, 0.3, 0.05
notify.main()
"""


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited in vain for {what}")
        time.sleep(0.01)


class World:
    """A repository below a directory, and who tells of it."""

    def __init__(self, root: Path) -> None:
        self.places = Places(str(root))
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin", "PYTHONPATH": str(NATIVE), "HULL_ROOT": str(root),
            "SMF_ZONENAME": "z1", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        self.log = root / "log"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.states: dict[str, str] = {}
        self.configd = self.run(CONFIGD)
        wait_for(lambda: os.path.exists(self.places.door), "configd")
        self.client = Client(self.places.door)
        for fmri in (GLOBAL, PROBLEMS, ME):
            self.make(fmri)
        self.change(ME, "online")

    def run(self, program: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", program], env=self.environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def notify(self) -> subprocess.Popen[bytes]:
        """Start the daemon, and wait until it has looked for the first time."""
        states = Path(self.places.volatile) / "notify.json"
        before = states.stat().st_mtime_ns if states.exists() else 0
        process = self.run(NOTIFY)
        if not before:
            wait_for(states.exists, "notify")
        return process

    def end(self, process: subprocess.Popen[bytes], sent: int = signal.SIGKILL) -> None:
        process.send_signal(sent)
        process.wait()

    def make(self, fmri: str) -> None:
        self.client.commit([
            ["add", fmri],
            ["group", fmri, "restarter", "framework", "P"],
            ["snapshot", fmri, "running", ""],
        ])  # fmt: skip

    def change(self, fmri: str, state: str, reason: str = "none") -> None:
        when = f"{time.time():.9f}"
        self.client.commit([
            ["set", fmri, "restarter", "state_timestamp", "time", [when]],
            ["set", fmri, "restarter", "auxiliary_state", "astring", [reason]],
            ["set", fmri, "restarter", "state", "astring", [state]],
        ])  # fmt: skip

    def ask(self, fmri: str, event: str, properties: dict[str, str]) -> None:
        """Set notification parameters, and refresh what they are of."""
        self._put(fmri, event, "notify_params", {
            name: ("astring", text) for name, text in properties.items()
        })  # fmt: skip

    def configure(self, values: dict[str, tuple[str, str]]) -> None:
        self._put(ME, "config", "application", values)

    def _put(self, fmri: str, group: str, kind: str, values: dict[str, tuple[str, str]]) -> None:
        operations: list[list[object]] = [["group", fmri, group, kind, ""]]
        for name, (type_, text) in values.items():
            operations.append(["set", fmri, group, name, type_, [text]])
        self.client.commit([*operations, ["snapshot", fmri, "running", ""]])

    def spooled(self) -> list[str]:
        found = os.listdir(self.places.root + "/var/svc/notify")
        return [name for name in found if not name.startswith(".")]

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                self.end(process)
        self.client.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    try:
        yield made
    finally:
        made.close()
        sys.stderr.write(made.log.read_text())


@pytest.fixture
def mail() -> Iterator[Mail]:
    sink = Mail()
    yield sink
    sink.close()


@pytest.fixture
def web() -> Iterator[Web]:
    sink = Web()
    yield sink
    sink.close()


def test_mail_and_webhook_are_told_of_maintenance(world: World, mail: Mail, web: Web) -> None:
    world.configure({"port": ("count", str(mail.port)), "from": ("astring", "smf@here.example")})
    both = {"smtp,to": "ops@example.com", "webhook,url": web.url}
    world.ask(GLOBAL, "to-maintenance", both)
    world.make("svc:/site/a:default")
    world.change("svc:/site/a:default", "online")
    world.notify()
    world.change("svc:/site/a:default", "maintenance", "method_failed")
    wait_for(lambda: mail.taken and web.taken and not world.spooled(), "both")

    (receivers, message), told = mail.taken[0], web.taken[0]
    assert receivers == ["ops@example.com"]
    assert message["From"] == "smf@here.example"
    assert message["X-FMEV-TO-STATE"] == "maintenance"
    assert "svc:/site/a:default is maintenance" in message["Subject"].replace("\n", "")
    assert "method_failed" in str(message.get_payload())
    assert told["id"]
    assert web.headers[0]["path"] == "/hook?a=b"
    assert {key: told[key] for key in ("fmri", "from", "to", "reason", "zone", "severity")} == {
        "fmri": "svc:/site/a:default", "from": "online", "to": "maintenance",
        "reason": "method_failed", "zone": "z1", "severity": "major",
    }  # fmt: skip
    world.change("svc:/site/a:default", "online")
    time.sleep(0.3)
    assert (len(mail.taken), len(web.taken)) == (1, 1)


def test_what_was_in_maintenance_before_is_told_of(world: World, web: Web) -> None:
    world.ask(PROBLEMS, "problem-diagnosed", {"webhook,url": web.url})
    world.ask(GLOBAL, "to-online", {"webhook,url": web.url})
    for name, state in (("a", "maintenance"), ("b", "online")):
        world.make(f"svc:/site/{name}:default")
        world.change(f"svc:/site/{name}:default", state)
    world.notify()
    wait_for(lambda: web.taken, "the problem")
    time.sleep(0.3)
    assert [(told["fmri"], told["events"]) for told in web.taken] == [
        ("svc:/site/a:default", ["problem-diagnosed"])
    ]


def test_a_server_that_was_down_is_told_once(world: World) -> None:
    mail_port, web_port = free_port(), free_port()
    world.configure({"port": ("count", str(mail_port))})
    both = {"smtp,to": "ops@example.com", "webhook,url": f"http://127.0.0.1:{web_port}/"}
    world.ask(GLOBAL, "to-maintenance", both)
    world.make("svc:/site/a:default")
    world.notify()
    world.change("svc:/site/a:default", "maintenance")
    wait_for(lambda: len(world.spooled()) == 2, "the spool")
    time.sleep(0.5)  # some tries
    mail, web = Mail(mail_port), Web(web_port)
    try:
        wait_for(lambda: mail.taken and web.taken and not world.spooled(), "both")
        time.sleep(0.5)
        assert (len(mail.taken), len(web.taken)) == (1, 1)
    finally:
        mail.close()
        web.close()


def test_a_server_that_refuses_for_now_is_asked_again(world: World, mail: Mail, web: Web) -> None:
    world.configure({"port": ("count", str(mail.port))})
    world.ask(GLOBAL, "to-offline", {"smtp,to": "a@example.com", "webhook,url": web.url})
    world.make("svc:/site/a:default")
    mail.answer = lambda receiver: b"451 later"
    web.status = 503
    world.notify()
    world.change("svc:/site/a:default", "offline")
    wait_for(lambda: web.headers and "451" in world.log.read_text(), "two refusals")
    assert (mail.taken, web.taken) == ([], [])
    mail.answer = lambda receiver: b"250 ok"
    web.status = 200
    wait_for(lambda: mail.taken and web.taken, "both")


def test_what_is_refused_for_good_is_dropped_with_a_word(
    world: World, mail: Mail, web: Web
) -> None:
    world.configure({"port": ("count", str(mail.port))})
    world.ask(GLOBAL, "to-offline", {"smtp,to": "no@example.com", "webhook,url": web.url})
    world.make("svc:/site/a:default")
    mail.answer = lambda receiver: b"550 nobody \x1b[2J here"
    web.status = 404
    world.notify()
    world.change("svc:/site/a:default", "offline")
    wait_for(lambda: world.log.read_text().count("dropped") == 2, "two lines")
    assert not world.spooled()
    assert "\x1b" not in world.log.read_text()


def test_a_server_that_hangs_keeps_nobody_waiting(world: World, web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world.configure({
            "port": ("count", str(silent.getsockname()[1])), "timeout": ("count", "5"),
        })  # fmt: skip
        world.ask(GLOBAL, "to-offline", {"smtp,to": "a@example.com", "webhook,url": web.url})
        world.notify()
        for number in range(3):
            world.make(f"svc:/site/a{number}:default")
            world.change(f"svc:/site/a{number}:default", "offline")
        wait_for(lambda: len(web.taken) == 3, "the webhook", 4.0)
        assert len(world.spooled()) == 3


def test_killed_again_and_again_each_change_is_told_once(world: World, web: Web) -> None:
    """Only the daemon is killed: a child that is killed between a server's yes and the removal of
    the message tells it twice, with the same id."""
    world.ask(GLOBAL, "to-offline", {"webhook,url": web.url})
    daemon = world.notify()
    expected = []
    chance = random.Random(7)
    for number in range(60):
        fmri = f"svc:/site/s{number}:default"
        world.make(fmri)
        world.change(fmri, "offline")
        expected.append(fmri)
        time.sleep(chance.random() * 0.02)
        if number % 4 == 0:
            world.end(daemon)
            daemon = world.notify()
            time.sleep(chance.random() * 0.15)
    wait_for(lambda: len(web.taken) >= len(expected) and not world.spooled(), "all")
    time.sleep(0.3)
    assert sorted(told["fmri"] for told in web.taken) == sorted(expected)


def test_a_new_configd_is_found(world: World, web: Web) -> None:
    world.ask(GLOBAL, "to-offline", {"webhook,url": web.url})
    world.make("svc:/site/a:default")
    world.notify()
    world.end(world.configd)
    world.configd = world.run(CONFIGD)
    world.client.close()
    world.change("svc:/site/a:default", "offline")
    wait_for(lambda: web.taken, "the webhook")


def test_a_full_spool_loses_the_oldest_with_a_word(world: World) -> None:
    port = free_port()
    world.configure({"most_messages": ("count", "3")})
    world.ask(GLOBAL, "to-offline", {"webhook,url": f"http://127.0.0.1:{port}/"})
    world.notify()
    for number in range(5):
        world.make(f"svc:/site/a{number}:default")
        world.change(f"svc:/site/a{number}:default", "offline")
        wait_for(lambda: f"site/a{number}" in (  # noqa: B023  # called at once
            Path(world.places.volatile) / "notify.json"
        ).read_text(), "seen")  # fmt: skip
    wait_for(lambda: world.log.read_text().count("more than 3 messages wait") == 2, "two lines")
    web = Web(port)
    try:
        wait_for(lambda: not world.spooled(), "the rest")
        assert [told["fmri"] for told in web.taken] == [
            f"svc:/site/a{number}:default" for number in (2, 3, 4)
        ]
    finally:
        web.close()


def test_at_rest_it_sleeps(world: World) -> None:
    daemon = world.notify()

    def switches() -> str:
        text = Path(f"/proc/{daemon.pid}/status").read_text()
        return text[text.index("voluntary_ctxt_switches") :]

    time.sleep(0.5)
    before = switches()
    time.sleep(1.5)
    assert switches() == before


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    made = tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(made),
         "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return tmp_path / "cert.pem"


def test_https_is_verified(world: World, certificate: Path) -> None:
    with ExitStack() as undo:
        web = Web()
        undo.callback(web.close)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        web.socket = context.wrap_socket(web.socket, server_side=True)
        url = f"https://localhost:{web.port}/"
        world.ask(GLOBAL, "to-offline", {"webhook,url": url})
        world.make("svc:/site/a:default")
        daemon = world.notify()
        world.change("svc:/site/a:default", "offline")
        wait_for(lambda: "CERTIFICATE_VERIFY_FAILED" in world.log.read_text(), "a refusal")
        assert not web.taken
        world.end(daemon)
        world.environment["SSL_CERT_FILE"] = str(certificate)
        world.notify()
        wait_for(lambda: web.taken, "the webhook")
