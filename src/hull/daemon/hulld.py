# SPDX-License-Identifier: MPL-2.0
"""hulld: the one daemon of a host. It owns VMs and images, and can die and return at any time."""

import asyncio
import logging
import os
import resource
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from hull.daemon import api, compose, logs
from hull.daemon.events import Announcer, Bus
from hull.daemon.metadatad import Metadatad
from hull.daemon.serve import Server
from hull.daemon.watch import Watcher
from hull.errors import Error, InUse
from hull.host.host import Host
from hull.linux import files
from hull.linux.lock import lock
from hull.paths import Paths
from hull.vm import lookup, recover, stop, update
from hull.wire import JsonObject

log = logging.getLogger("hull.hulld")


class Daemon:
    """hulld as the attendant of the zones that are up."""

    def __init__(self, paths: Paths, loop: asyncio.AbstractEventLoop) -> None:
        self.bus = Bus()
        self.watcher = Watcher(loop)
        self.host = compose.make_host(paths, self)
        self._announcer = Announcer(self.bus, lookup.lookup([], self.host, whole=True))
        self.metadata = Metadatad(
            loop,
            lambda uuid: lookup.get(uuid, self.host),
            lambda uuid, change: update.change_metadata(uuid, change.payload, self.host),
        )

    def attend(self, uuid: str, pid: int, metadata_socket: Path, uid: int) -> None:
        self.metadata.add_zone(uuid, metadata_socket, uid)
        self.watcher.watch(pid, lambda: stop.ended(uuid, pid, self.host))

    def leave(self, uuid: str) -> None:
        self.metadata.remove_zone(uuid)

    def changed(self, uuid: str, view: JsonObject | None) -> None:
        self._announcer.announce(uuid, view)


def prepare(host: Host) -> None:
    """Make the machine agree with the host's records, before anybody may ask for anything."""
    host.datalinks.up()
    for leases in host.leases.values():
        leases.publish()
    recover.recover(host)


async def serve(paths: Paths) -> None:
    """Until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for sent in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sent, stopping.set)
    daemon = Daemon(paths, loop)
    await asyncio.to_thread(prepare, daemon.host)
    server = Server(api.routes(daemon.host, daemon.bus))
    await server.start(paths.socket)
    log.info("hulld serves %s", paths.root)
    # Not a job of anybody's: the host is up while its zones still boot.
    threading.Thread(target=recover.autoboot, args=(daemon.host,), daemon=True).start()
    await stopping.wait()
    log.info("hulld stops; its zones run on")
    await server.stop()
    daemon.watcher.stop()
    await daemon.metadata.stop()


def main() -> None:
    paths = Paths.from_environment()
    # Rotation bounds the log, and "+ argv" of every program that was run is what one looks for.
    logs.configure(paths.log / "hulld.log", level=logging.DEBUG)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each zone that is up takes two
    try:
        with ExitStack() as held:
            held.enter_context(lock(paths.run / "hulld.lock", what="this host", timeout=0))
            files.write_file(paths.run / "hulld.pid", str(os.getpid()), durable=False)
            asyncio.run(serve(paths))
    except InUse:
        sys.exit(f"hulld: a hulld, or a command with --here, works on {paths.root} already")
    except Error as exc:
        log.exception("hulld cannot run")
        sys.exit(f"hulld: {exc.message}{f' ({exc.hint})' if exc.hint else ''}")
