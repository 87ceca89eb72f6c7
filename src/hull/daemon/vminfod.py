# SPDX-License-Identifier: MPL-2.0
"""vminfod: what the VMs are and become, by HTTP on a port of the loopback interface.

Existing tools listen there. It only reads, and answers processes of root alone: what it tells
includes the VMs' passwords, and a hosted host's machine may have other users.
"""

import logging
import os
import time

from hull.daemon.events import Announcer
from hull.daemon.job import Workers
from hull.daemon.route import Request, Route
from hull.daemon.serve import Server
from hull.errors import HostError
from hull.host import config
from hull.host.host import Host
from hull.paths import DEFAULT_ROOT, Paths
from hull.vm import lookup
from hull.wire import Json, JsonObject

log = logging.getLogger("hull.vminfod")

PORT = 9090
OBJECT: JsonObject = {"type": "object"}


def port_of(paths: Paths, settings: dict[str, str]) -> int:
    """`vminfod_port` of /usbkey/config; 0: no vminfod.

    Without it, SmartOS's port for the machine's first host; others would only fight over it.
    """
    text = settings.get("vminfod_port", "")
    if not text:
        return PORT if str(paths.root) in (DEFAULT_ROOT, "/") else 0
    if text.isdecimal() and int(text) < 65536:
        return int(text)
    log.warning("vminfod_port=%s in /usbkey/config is no port: vminfod is off", text)
    return 0


async def start(host: Host, announcer: Announcer) -> Server:
    """Serve until the server that this returns is stopped; a port that is taken is no failure."""
    server = Server(routes(host, announcer), workers=Workers(jobs=1, reads=2))
    port = port_of(host.paths, config.read(host.paths))
    if port:
        try:
            await server.start_tcp(port)
            log.info("vminfod serves on 127.0.0.1:%d", port)
        except HostError as exc:
            log.warning("vminfod is off: %s", exc.message)
    return server


def routes(host: Host, announcer: Announcer) -> list[Route]:
    """All that it can be asked."""
    started = time.time()

    def status(_: Request) -> Json:
        return {
            "state": "running",
            "pid": os.getpid(),
            "uptime": round(time.time() - started, 3),
            "vms": len(host.index.all()),
            "listeners": announcer.listeners,
        }

    def vms(_: Request) -> Json:
        return list(lookup.lookup([], host, whole=True))

    return [
        Route(
            method="GET",
            path="/ping",
            handler=lambda _: {"ping": "pong"},
            doc="Say that vminfod is there.",
            result=OBJECT,
        ),
        Route(method="GET", path="/status", handler=status, doc="How it is.", result=OBJECT),
        Route(method="GET", path="/vms", handler=vms, doc="All VMs.", result={"type": "array"}),
        Route(
            method="GET",
            path="/vms/{uuid}",
            handler=lambda request: lookup.get(request.params["uuid"], host),
            doc="One VM.",
            result=OBJECT,
        ),
        Route(
            method="GET",
            path="/events",
            handler=lambda _: announcer.subscribe(),
            doc="All VMs, then every change of a VM as it happens.",
            stream=True,
        ),
    ]
