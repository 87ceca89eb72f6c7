# SPDX-License-Identifier: MPL-2.0
"""What imgadm's verbs share: arguments checked in SmartOS's words, answers taken apart, records."""

import json
import os
import sys
import time
from types import FrameType

from hull.cli.command import Args
from hull.errors import Error
from hull.wire import Json, JsonObject

# Hull's errors that SmartOS's imgadm knows by another code; those of the same name are not here.
CODES = {
    "Unsupported": "NotSupported",
    "Corrupt": "UncompressionError",
    "InvalidPayload": "InvalidArgument",
    "NotFound": "InvalidArgument",
    "Exists": "InternalError",
    "InUse": "InternalError",
    "InvalidState": "InternalError",
    "Refused": "InternalError",
    "HostError": "InternalError",
    "CommandFailed": "InternalError",
    "KernelError": "InternalError",
}
LEVELS = {"trace": 10, "debug": 20, "info": 30, "warn": 40, "error": 50, "fatal": 60}


class CliError(Exception):
    """An error of the command line itself; SmartOS gives each a code."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def usage(message: str) -> CliError:
    return CliError("Usage", message)


def words(args: Args, count: int) -> list[str]:
    if len(args.words) != count:
        given = " ".join(args.words)
        raise usage(f'incorrect number of args ({len(args.words)}): "{given}"')
    return args.words


def check_uuid(uuid: str) -> str:
    """In lower case. Raises CliError."""
    digits = uuid.replace("-", "")
    dashes = [index for index, char in enumerate(uuid) if char == "-"]
    if len(uuid) != 36 or dashes != [8, 13, 18, 23] or digits.strip("0123456789abcdefABCDEF"):
        raise CliError("InvalidUUID", f'invalid uuid: "{uuid}"')
    return uuid.lower()


def uuid_of(args: Args) -> str:
    """The one argument: a UUID."""
    (uuid,) = words(args, 1)
    return check_uuid(uuid)


def text(answer: Json, key: str) -> str:
    return str(answer.get(key) or "") if isinstance(answer, dict) else ""


def objects(answer: Json) -> list[JsonObject]:
    return [item for item in answer if isinstance(item, dict)] if isinstance(answer, list) else []


def existing(path: str, what: str) -> str:
    """The absolute path of a file that must be there: hulld has another working directory."""
    if not os.path.exists(path):
        raise usage(f'{what} path does not exist: "{path}"')
    return os.path.abspath(path)


def read_manifest(path: str) -> Json:
    """The JSON of a manifest file. Raises CliError."""
    try:
        with open(existing(path, "manifest"), encoding="utf-8") as file:
            manifest: Json = json.load(file)
    except (OSError, ValueError) as exc:
        raise CliError("InvalidManifest", f"manifest is invalid: {exc}") from None
    return manifest


def raise_all(errors: list[JsonObject]) -> None:
    """What went wrong while the rest was done. Raises CliError if anything did."""
    pairs = [(code_of(text(error, "code")), text(error, "message")) for error in errors]
    if len(pairs) == 1:
        raise CliError(*pairs[0])
    if pairs:
        lines = [f"    error ({code}): {message}" for code, message in pairs]
        raise CliError("MultiError", "\n".join([f"multiple ({len(pairs)}) errors", *lines]))


def code_of(code: str) -> str:
    return CODES.get(code, code)


def error_code(error: Error) -> str:
    """SmartOS's code of an error."""
    return code_of(error.code)


# -- bunyan's records, on standard error -----------------------------------------------------------
def log_level(*, verbose: bool) -> int:
    """The least level that is logged."""
    asked = LEVELS.get(os.environ.get("IMGADM_LOG_LEVEL", ""), LEVELS["warn"])
    return LEVELS["trace"] if verbose else asked


def asked_for_sources() -> bool:
    return os.environ.get("IMGADM_LOG_LEVEL") == "trace"


def source_of(frame: FrameType) -> JsonObject:
    """Where in the source a record comes from."""
    return {"src": {"file": frame.f_code.co_filename, "line": frame.f_lineno}}


def log(level: int, message: str, **fields: Json) -> None:
    """One record."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    record: JsonObject = {
        "name": "imgadm",
        "hostname": os.uname().nodename,
        "pid": os.getpid(),
        **({"req_id": os.environ["REQ_ID"]} if os.environ.get("REQ_ID") else {}),
        "level": level,
        **fields,
        **(source_of(sys._getframe(1)) if asked_for_sources() else {}),
        "msg": message,
        "time": f"{stamp}.{int(now % 1 * 1000):03}Z",
        "v": 0,
    }
    sys.stdout.flush()
    sys.stderr.write(json.dumps(record) + "\n")
    sys.stderr.flush()
