# SPDX-License-Identifier: MPL-2.0
"""svc:/system/fm/smtp-notify: tells of changes of state who has asked for it, by mail and webhook.

It sleeps until the repository says that some instance's group `restarter` has changed, looks which
notification parameters of the running snapshots fit, and puts messages into a spool. Children
deliver; servers that are down are tried again after a growing pause. At the first look after the
machine's start, only what cannot run is told of: the rest has come up before there was a service.
"""

import json
import os
import select
import sys
import time

from smf.client import Client
from smf.errors import Broken, NotFound
from smf.fmri import instance_of, service_of
from smf.notify_message import PROBLEM_STATES, Message, Transition, messages
from smf.notify_params import GLOBAL, PROBLEMS
from smf.notify_spool import Seen, Spool
from smf.places import Places
from smf.states import UNINITIALIZED
from smf.tree import RUNNING, Groups, compose, value

ME = "svc:/system/fm/smtp-notify:default"
MOST_READS = 16  # instances that are read one by one; of more, all are read at once
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0  # seconds between tries of a server
MOST_CHILDREN = 8  # servers that are spoken with at a time
GIVE_UP = 5 * 86400  # seconds after which a message is not worth sending
MOST_MESSAGES = 1000
RECONNECT = 1.0  # seconds
DISK_PAUSE = 30.0  # seconds


def report(text: str) -> None:
    """A line of the service's log."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Watch:
    """The repository as it changes."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._rest = b""
        self.socket = client.watch()

    def changed(self) -> set[str]:
        """The instances whose state may be another one. EOFError if configd has gone."""
        try:
            chunk = self.socket.recv(1 << 18)
        except OSError as exc:
            raise EOFError from exc
        if not chunk:
            raise EOFError
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return {
            fmri
            for line in lines
            for fmri, group in json.loads(line)["changed"]
            if group == "restarter"
        }

    def close(self) -> None:
        self.socket.close()
        self.client.close()


class Observer:
    """Turns what the repository says into messages in the spool."""

    def __init__(self, client: Client, spool: Spool, host: str, zone: str) -> None:
        self.client = client
        self.spool = spool
        self.host = host
        self.zone = zone

    def look(self, instances: "set[str] | None" = None) -> int:
        """Look at these instances, or at all; returns how many messages that has made."""
        seen: Seen = dict(self.spool.seen or {})
        found: list[Message] = []
        for fmri, groups in self._states(instances).items():
            state = value(groups, "restarter", "state")
            when = value(groups, "restarter", "state_timestamp")
            before = seen.get(fmri)
            if not state or before == (state, when):
                continue
            seen[fmri] = state, when
            if before is None and self.spool.seen is None and state not in PROBLEM_STATES:
                continue
            if before is None and state == UNINITIALIZED:
                continue
            old = before[0] if before else UNINITIALIZED
            reason = value(groups, "restarter", "auxiliary_state")
            found += self._messages(Transition(fmri, old, state, reason, when))
        if instances is None:
            entities = set(self.client.entities())
            seen = {fmri: state for fmri, state in seen.items() if fmri in entities}
        if seen != self.spool.seen or found:
            self.spool.add(found, seen)
        return len(found)

    def _states(self, instances: "set[str] | None") -> dict[str, Groups]:
        if instances is None or len(instances) > MOST_READS:
            found = self.client.dump(["restarter"])
            return {fmri: groups for fmri, groups in found.items() if instance_of(fmri)}
        states = {}
        for fmri in sorted(instances):
            try:
                states[fmri] = self.client.read(fmri)[0]
            except NotFound:  # deleted meanwhile
                continue
        return states

    def _messages(self, transition: Transition) -> list[Message]:
        instance, service = running(self.client, transition.fmri)
        levels = [
            (transition.fmri, instance),
            (service_of(transition.fmri), service),
            (GLOBAL, compose(*running(self.client, GLOBAL))),
        ]
        problems = compose(*running(self.client, PROBLEMS))
        made = messages(transition, levels, problems)
        for message in made:
            message.host, message.zone = self.host, self.zone
        return made


def running(client: Client, fmri: str) -> tuple[Groups, Groups]:
    """An instance's groups and its service's as of the last refresh; nothing if there is none."""
    for snapshot in (RUNNING, ""):
        try:
            return client.read(fmri, snapshot)
        except NotFound:
            continue
    return {}, {}


def config(client: Client, me: str) -> dict[str, str]:
    """The service's own properties, as text."""
    found = compose(*running(client, me)).get("config")
    return {name: found.value(name) for name in found.properties} if found else {}


class Sender:
    """Has children deliver what is in the spool: one for each server, so that none waits for
    another, and not more often than useful."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.children: dict[int, tuple[int, str]] = {}  # pidfd -> (pid, server)
        self._pauses: dict[str, tuple[float, float]] = {}  # server -> (pause, until when)
        self._known: dict[str, tuple[str, float]] = {}  # message -> (server, when it happened)

    def wait(self) -> "float | None":
        """Seconds until something is to be tried again; None if nothing waits for that."""
        busy = {server for _, server in self.children.values()}
        times = [until for server, (_, until) in self._pauses.items() if server not in busy]
        if not times or len(self.children) >= MOST_CHILDREN:
            return None
        return max(0.0, min(times) - time.monotonic())

    def start(self, client: Client, me: str) -> None:
        """Begin to deliver what is due, unless that is under way."""
        due = self._due()
        settings = config(client, me) if due else {}
        for server, names in due.items():
            if len(self.children) >= MOST_CHILDREN:
                return
            pid = os.fork()
            if pid == 0:
                self._deliver(server, names, settings)
            self.children[os.pidfd_open(pid)] = pid, server

    def _due(self) -> dict[str, list[str]]:
        """Servers and their messages, oldest first. Pauses that nothing waits for are forgotten,
        and so is what nobody has taken for days."""
        now, waiting = time.monotonic(), dict[str, list[str]]()
        for name, (server, when) in self._messages().items():
            if time.time() - when > GIVE_UP:
                report(f"{name}: {server} could not be reached for days; dropped")
                self.spool.remove(name)
            else:
                waiting.setdefault(server, []).append(name)
        self._pauses = {server: self._pauses[server] for server in waiting & self._pauses.keys()}
        busy = {server for _, server in self.children.values()}
        return {
            server: names
            for server, names in waiting.items()
            if server not in busy and self._pauses.get(server, (0.0, 0.0))[1] <= now
        }

    def _messages(self) -> dict[str, tuple[str, float]]:
        """What is in the spool; each is read once."""
        known = {}
        for name in self.spool.names():
            if name in self._known:
                known[name] = self._known[name]
            elif message := self.spool.read(name):
                known[name] = message.server(), float(message.transition.when or 0)
        self._known = known
        return known

    def _deliver(self, server: str, names: list[str], settings: dict[str, str]) -> None:
        """In the child: it ends here, whatever happens; status 0 if all has been delivered."""
        status = 1
        try:
            from smf import notify_send

            notify_send.lock(self.spool, server)
            if notify_send.deliver(self.spool, names, notify_send.settings(settings), report):
                status = 0
        except Exception as exc:  # noqa: BLE001  # a bug must not be sent round in circles
            report(f"{server}: {type(exc).__name__}: {exc}")
        finally:
            os._exit(status)

    def ended(self, pidfd: int) -> None:
        """A child has ended. A server that was reached is well; another one has a longer pause."""
        pid, server = self.children.pop(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        before = self._pauses.pop(server, (0.0, 0.0))[0]
        if status:
            pause = min(before * 2, LONGEST_PAUSE) or FIRST_PAUSE
            self._pauses[server] = pause, time.monotonic() + pause


def connect(path: str) -> Watch:
    """Wait for configd, if need be."""
    while True:
        client = Client(path)
        try:
            return Watch(client)
        except Broken as exc:
            client.close()
            report(str(exc))
        time.sleep(RECONNECT)


def run(places: Places, me: str) -> None:
    """Until it is killed."""
    host, zone = os.uname().nodename, os.environ.get("SMF_ZONENAME", "global")
    spool = Spool(
        places.root + "/var/svc/notify", places.volatile + "/notify.json", MOST_MESSAGES, report
    )
    sender = Sender(spool)
    while True:
        watch = connect(places.door)
        try:
            _serve(watch, Observer(watch.client, spool, host, zone), sender, me)
        except (EOFError, Broken):
            report("svc.configd has gone; connecting anew")
        except OSError as exc:
            report(f"the spool cannot be written: {exc}; looking again in {DISK_PAUSE:.0f} seconds")
            time.sleep(DISK_PAUSE)
        finally:
            watch.close()


def _serve(watch: Watch, observer: Observer, sender: Sender, me: str) -> None:
    """Until configd goes: then EOFError or Broken. OSError if the spool cannot be written."""
    most = config(watch.client, me).get("most_messages")
    observer.spool.most = int(most or MOST_MESSAGES)
    observer.look()
    while True:
        sender.start(watch.client, me)
        heard = [watch.socket.fileno(), *sender.children]
        ready, _, _ = select.select(heard, [], [], sender.wait())  # noqa: TID251  # few descriptors are open here
        for descriptor in ready:
            if descriptor in sender.children:
                sender.ended(descriptor)
            elif changed := watch.changed():
                observer.look(changed)


def main() -> int:
    """The service's method, which is the service."""
    run(Places(), os.environ.get("SMF_FMRI", ME))
    return 0
