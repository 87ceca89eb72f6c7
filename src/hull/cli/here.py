# SPDX-License-Identifier: MPL-2.0
"""--here: the same use case in this process, for when hulld is down.

The one module of the commands that may reach the daemon's, and only they import it lazily.
"""

from collections.abc import Callable
from pathlib import Path

from hull.daemon import api, hulld, lifecycle
from hull.daemon.route import Request, Table
from hull.errors import HostError, InUse
from hull.linux.lock import lock
from hull.paths import Paths
from hull.wire import Json, JsonObject

up = lifecycle.up
down = lifecycle.down
status = lifecycle.status


def call(
    method: str,
    target: str,
    body: JsonObject | None = None,
    progress: Callable[[JsonObject], None] | None = None,
    fd: int = -1,
) -> Json:
    """What hull.client.call.call does, without hulld. Raises InUse while hulld is there."""
    paths = Paths.from_environment()
    lifecycle.require_root()
    if not paths.run.is_dir():
        raise HostError(f"the host at {paths.root} is not up", hint="`hull up` brings it up")
    try:
        with (
            lock(paths.run / "hulld.lock", what="this host", timeout=0),
            hulld.in_process(paths) as daemon,
        ):
            match = Table(api.routes(daemon.host, daemon.announcer)).find(method, target)
            request = Request(
                params=match.params,
                query=match.query,
                body=body or {},
                progress=progress or (lambda report: None),
                fd=fd,
            )
            answer = match.route.handler(request)
    except InUse as exc:
        if "this host" not in exc.message:
            raise
        raise InUse("hulld is up", hint="leave --here out") from None
    assert answer is None or isinstance(answer, (dict, list, str, int, float, bool))
    return answer


def paths_of(root: str) -> Paths:
    return Paths(root) if root else Paths.from_environment()


def pool_path(text: str) -> Path | None:
    return Path(text).absolute() if text else None
