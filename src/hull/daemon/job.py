# SPDX-License-Identifier: MPL-2.0
"""Handlers in worker threads: progress out, one outcome at the end, one audit line.

A job belongs to hulld, not to the client that asked for it: it goes on to its end whoever leaves.
"""

import asyncio
import contextlib
import contextvars
import dataclasses
import json
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from hull import errors, wire
from hull.daemon.events import Subscription
from hull.daemon.listen import Peer
from hull.daemon.logs import audited, job_log
from hull.daemon.route import Request, Route
from hull.linux.syscall import shortage
from hull.wire import JsonObject

log = logging.getLogger("hull.job")

MAX_REPORTS = 256  # progress reports kept for a client that reads slowly; the oldest go first
STATUS: tuple[tuple[type[errors.Error], int], ...] = (
    (errors.NotFound, 404),
    (errors.Exists, 409),
    (errors.InvalidState, 409),
    (errors.InUse, 409),
    (errors.Unsupported, 501),
    (errors.Refused, 400),
    (errors.Error, 500),
)


@dataclass(frozen=True)
class Outcome:
    """How a request ended. `body` is the JSON text of the result or of the error."""

    status: int
    body: bytes
    subscription: Subscription | None = None

    @property
    def is_error(self) -> bool:
        return self.status >= 400


def outcome_of(error: errors.Error, status: int = 0) -> Outcome:
    """What the client is told about an error raised on purpose."""
    code = status or next(number for kind, number in STATUS if isinstance(error, kind))
    return Outcome(code, json.dumps(wire.error_to_json(error)).encode())


def internal_error(request_id: str) -> Outcome:
    """What the client is told about a bug: nothing but where to look."""
    error: JsonObject = {
        "code": "InternalError",
        "message": f"hulld failed in a way it should not have (request {request_id})",
        "hint": f"search hulld's log for {request_id}",
        "problems": [],
    }
    return Outcome(500, json.dumps(error).encode())


STOPPING = outcome_of(errors.HostError("hulld is stopping", hint="try again"), 503)
BUSY = outcome_of(errors.HostError("too many jobs wait already", hint="try again later"), 503)


class Job:
    """One running handler, as its client sees it. The loop's side, but for `report`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wake = asyncio.Event()
        self._reports: deque[bytes] = deque(maxlen=MAX_REPORTS)
        self.outcome: Outcome | None = None

    def report(self, progress: JsonObject) -> None:
        """Tell the client how far it is. From any thread; never waits."""
        self.tell(self._add, json.dumps(progress).encode())

    def tell(self, function: Callable[..., None], value: object) -> None:
        """Call a function in the loop's thread, if there still is one."""
        try:
            self._loop.call_soon_threadsafe(function, value)
        except RuntimeError:
            log.debug("the event loop has ended before the job did")

    def _add(self, report: bytes) -> None:
        self._reports.append(report)
        self._wake.set()

    def finish(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
        self._wake.set()

    async def reports(self) -> AsyncIterator[bytes]:
        """The progress reports, each as JSON text, until the outcome is there."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._reports:
                yield self._reports.popleft()
            if self.outcome:
                return


class Workers:
    """Two bounded pools of threads, so that a list never waits for a long job."""

    def __init__(self, *, jobs: int = 16, reads: int = 4, waiting: int = 256) -> None:
        self._jobs = ThreadPoolExecutor(jobs, "job")
        self._reads = ThreadPoolExecutor(reads, "read")
        self._waiting = waiting
        self._pending: set[Future[Outcome]] = set()

    def start(self, route: Route, request: Request, peer: Peer) -> Job:
        """Begin a handler. From the loop's thread."""
        job = Job(asyncio.get_running_loop())
        if len(self._pending) >= self._waiting:
            close_descriptor(request)
            job.finish(BUSY)
            return job
        asked = dataclasses.replace(request, progress=job.report)
        pool = self._jobs if route.long or route.mutates else self._reads
        context = contextvars.copy_context()
        future = pool.submit(context.run, run, route, asked, peer)
        self._pending.add(future)

        def ended(done: Future[Outcome]) -> None:
            close_descriptor(request)
            job.tell(self._pending.discard, done)
            job.tell(job.finish, STOPPING if done.cancelled() else done.result())

        future.add_done_callback(ended)
        return job

    async def stop(self, grace: float) -> None:
        """Start nothing new and wait up to `grace` seconds for what runs."""
        for pool in (self._jobs, self._reads):
            pool.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + grace
        while self._pending and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._pending:
            log.warning("%d jobs still run", len(self._pending))


def close_descriptor(request: Request) -> None:
    """The one that the client handed over: its reader waits for the end of the stream."""
    if request.fd >= 0:
        os.close(request.fd)


def run(route: Route, request: Request, peer: Peer) -> Outcome:
    """A handler from beginning to end, in this thread; never raises.

    What it does to a VM is told in a log of its own too. A login does nothing to it.
    """
    kept = route.mutates and route.path.startswith("/vms") and route.action != "login"
    with job_log(request.request_id, peer.pid) if kept else contextlib.nullcontext():
        return handle(route, request, peer)


def handle(route: Route, request: Request, peer: Peer) -> Outcome:
    """The handler's answer, as an outcome, with its line in the log."""
    begun = time.monotonic()
    try:
        result = route.handler(request)
        if isinstance(result, Subscription):
            outcome = Outcome(200, b"null", result)
        else:
            outcome = Outcome(200, json.dumps(result).encode())
        how = "ok"
    except errors.Error as exc:
        outcome = outcome_of(exc)
        how = f"{exc.code}: {exc.message}"
    except Exception as exc:  # the one place where a bug becomes an answer
        lacking = shortage(exc) if isinstance(exc, OSError) else None
        log.error("internal error", exc_info=exc)
        outcome = outcome_of(lacking) if lacking else internal_error(request.request_id)
        how = lacking.message if lacking else f"InternalError: {type(exc).__name__}"
    level = logging.INFO if route.mutates else logging.DEBUG
    fields = audited(
        audit=route.mutates,
        method=route.method,
        route=route.target,
        target=" ".join(request.params.values()),
        client_pid=peer.pid,
        client_uid=peer.uid,
        status=outcome.status,
        outcome=how,
        milliseconds=round((time.monotonic() - begun) * 1000, 1),
    )
    log.log(level, "%s %s: %s", route.method, route.target, how, extra=fields)
    return outcome
