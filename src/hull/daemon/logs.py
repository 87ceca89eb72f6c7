# SPDX-License-Identifier: MPL-2.0
"""Structured logs: one JSON object a line in bunyan's words, each with the id of its request."""

import json
import logging
import os
import sys
import traceback
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
        handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT, delay=True)
    handler.setFormatter(Bunyan("hulld"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("hull").setLevel(level)
    return handler
