# SPDX-License-Identifier: MPL-2.0
"""Structured logs: one JSON object a line in bunyan's words, each with the id of its request."""

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from hull.wire import JsonObject

# Set around each request; worker threads run in a copy of the context, so that everything that is
# logged below (each "+ argv" of hull.linux.run) names the request it was done for.
request_id: ContextVar[str] = ContextVar("request_id", default="")

LEVELS = {
    logging.DEBUG: 20,
    logging.INFO: 30,
    logging.WARNING: 40,
    logging.ERROR: 50,
    logging.CRITICAL: 60,
}
MAX_MESSAGE = 16 * 1024  # characters; one hostile string must not push all others out of the log
MAX_BYTES = 4 * 1024 * 1024
KEPT = 3  # older files: hulld.log.1 .. .3
MAX_JOB_BYTES = 1024 * 1024  # of the log of one job
KEPT_JOBS = 200


def audited(**fields: str | int | float | bool) -> dict[str, object]:
    """The `extra` of a log call: further members of the line's JSON object."""
    return {"fields": fields}


class Bunyan(logging.Formatter):
    """A log record as one line of JSON."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._hostname = os.uname().nodename

    def format(self, record: logging.LogRecord) -> str:
        line: JsonObject = {
            "name": self._name,
            "hostname": self._hostname,
            "pid": record.process,
            "level": LEVELS.get(record.levelno, record.levelno),
            "component": record.name,
            "msg": record.getMessage()[:MAX_MESSAGE],
            "time": iso_time(record.created),
            "v": 0,
        }
        if current := request_id.get():
            line["req_id"] = current
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= fields
        if record.exc_info and record.exc_info[1]:
            line["err"] = _error(record.exc_info[1])
        return json.dumps(line)


def iso_time(seconds: float) -> str:
    """Seconds since the epoch as SmartOS writes times: 2026-11-21T12:00:00.000Z."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _error(exc: BaseException) -> JsonObject:
    return {
        "name": type(exc).__name__,
        "message": str(exc)[:MAX_MESSAGE],
        "stack": "".join(traceback.format_exception(exc))[-MAX_MESSAGE:],
    }


def configure(path: Path | None, *, level: int = logging.INFO) -> logging.Handler:
    """Send the logs of this process to `path` (its directory is made), or to stderr if None.

    A file is renamed at 4 MiB and three older ones are kept, so that logs never fill the pool.
    Returns the handler, which `logging.getLogger().removeHandler` takes away again.
    """
    handler: logging.Handler
    if path is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)  # a payload's words may be in it
        handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT, delay=True)
    handler.setFormatter(Bunyan("hulld"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("hull").setLevel(level)
    return handler


class JobLogs(logging.Handler):
    """Beside hulld's own log, a file for each job that changes a VM: SmartOS's /var/log/vm/logs.

    Which job a record belongs to, its request's id says. The oldest files go when there are more
    than KEPT_JOBS. A file that cannot be written is no reason to fail the job.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._files: dict[str, Path] = {}  # by request id, while the job runs

    def begin(self, ident: str, pid: int) -> None:
        """Keep what is logged for request `ident`, of a client with this pid, in a new file."""
        name = f"{iso_time(time.time())}-{pid}-vmadm.log"
        with suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            for old in sorted(self._directory.glob("*.log"))[: -KEPT_JOBS + 1]:
                old.unlink(missing_ok=True)
            self._files[ident] = self._directory / name

    def end(self, ident: str) -> None:
        self._files.pop(ident, None)

    def emit(self, record: logging.LogRecord) -> None:
        path = self._files.get(request_id.get())
        if path is None:
            return
        with suppress(OSError), path.open("a", encoding="utf-8") as file:
            if file.tell() < MAX_JOB_BYTES:
                file.write(self.format(record) + "\n")


def configure_jobs(directory: Path) -> logging.Handler:
    """Keep a log of each job in `directory` from now on; returns the handler."""
    handler = JobLogs(directory)
    handler.setFormatter(Bunyan("vmadm"))
    logging.getLogger().addHandler(handler)
    return handler


@contextmanager
def job_log(ident: str, pid: int) -> Iterator[None]:
    """Keep what is logged for request `ident` in a file of its own, if this process keeps any."""
    keepers = [each for each in logging.getLogger().handlers if isinstance(each, JobLogs)]
    for keeper in keepers:
        keeper.begin(ident, pid)
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.end(ident)
