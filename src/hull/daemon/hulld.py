# SPDX-License-Identifier: MPL-2.0
"""hulld: the one daemon of a host. It owns VMs and images, and can die and return at any time."""

import asyncio
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hull.daemon import api, compose, logs, vminfod
from hull.daemon.events import Announcer
from hull.daemon.metadatad import Metadatad
from hull.daemon.serve import Server
from hull.daemon.watch import Watcher
from hull.errors import Error, InUse
from hull.host.host import Host
from hull.linux import files
from hull.linux.lock import lock
from hull.paths import Paths
from hull.vm import lookup, recover, stop, update

log = logging.getLogger("hull.hulld")


class Daemon:
    """hulld as the attendant of the zones that are up."""

    def __init__(self, paths: Paths, loop: asyncio.AbstractEventLoop) -> None:
        self._watcher = Watcher(loop)
        self.host = compose.make_host(paths, self)
        self.announcer = Announcer(
            lambda uuid: lookup.find(uuid, self.host), lambda: lookup.get_all(self.host)
        )
        self._metadata = Metadatad(
            loop,
            lambda uuid: lookup.own_view(uuid, self.host),
            lambda uuid, change: update.change_metadata(uuid, change.payload, self.host),
        )

    def attend(self, uuid: str, pid: int, metadata_socket: Path, uid: int) -> None:
        self._metadata.add_zone(uuid, metadata_socket, uid)
        self._watcher.watch(pid, lambda: stop.ended(uuid, pid, self.host))

    def leave(self, uuid: str) -> None:
        self._metadata.remove_zone(uuid)

    def start_again(self, uuid: str, pause: float) -> None:
        self._watcher.later(pause, lambda: stop.start_again(uuid, self.host))

    def changed(self, uuid: str) -> None:
        self.announcer.announce(uuid)

    async def stop(self) -> None:
        """Attend nobody any more; the zones run on."""
        self._watcher.stop()
        await self._metadata.stop()


def prepare(host: Host) -> None:
    """Make the machine agree with the host's records, before anybody may ask for anything."""
    host.datalinks.up()
    for leases in host.leases.values():
        leases.publish()
    recover.recover(host)


@contextmanager
def in_process(paths: Paths) -> Iterator[Daemon]:
    """For one command while hulld is down: zones are attended until its end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="attendant")
    thread.start()
    try:
        daemon = Daemon(paths, loop)
        prepare(daemon.host)
        yield daemon
        asyncio.run_coroutine_threadsafe(daemon.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def serve(paths: Paths) -> None:
    """Until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for sent in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sent, stopping.set)
    daemon = Daemon(paths, loop)
    await asyncio.to_thread(prepare, daemon.host)
    server = Server(api.routes(daemon.host, daemon.announcer))
    await server.start(paths.socket)
    log.info("hulld serves %s", paths.root)
    info = await vminfod.start(daemon.host, daemon.announcer)
    # Not a job of anybody's: the host is up while its zones still boot.
    threading.Thread(target=recover.autoboot, args=(daemon.host,), daemon=True).start()
    await stopping.wait()
    log.info("hulld stops; its zones run on")
    await server.stop()
    await info.stop()
    await daemon.stop()


USAGE = """\
hulld: the daemon of the host that HULL_ROOT names

hulld
    Serve until SIGTERM. `hull up` starts it; it takes no arguments.

See hulld(8).
"""


def main() -> None:
    if sys.argv[1:]:
        if sys.argv[1:] in (["--help"], ["-h"]):
            sys.exit(print(USAGE, end=""))  # noqa: T201  # asked for
        sys.exit("hulld: it takes no arguments")
    paths = Paths.from_environment()
    # Rotation bounds the log, and "+ argv" of every program that was run is what one looks for.
    logs.configure(paths.log / "hulld.log", level=logging.DEBUG)
    logs.configure_jobs(paths.log / "vm/logs")
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
