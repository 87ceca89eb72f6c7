# SPDX-License-Identifier: MPL-2.0
"""mdata-get, mdata-put, mdata-list, mdata-delete: exit status 0 done, 1 no such key, 2 error,
3 wrong usage."""

import os
import sys

from mdata.client import Failed, ask, pair

OK, NOT_FOUND, ERROR, USAGE = 0, 1, 2, 3


def mdata_get(words: "list[bytes]") -> int:
    (key,) = words
    value = ask("GET", key)
    if value is None:
        _complain(f"No metadata for '{os.fsdecode(key)}'")
        return NOT_FOUND
    return _write(value + b"\n")


def mdata_list(words: "list[bytes]") -> int:
    () = words
    names = ask("KEYS")
    return _write(names + b"\n") if names else OK


def mdata_put(words: "list[bytes]") -> int:
    key, *rest = words
    (value,) = rest or [sys.stdin.buffer.read()]
    ask("PUT", pair(key, value))
    return OK


def mdata_delete(words: "list[bytes]") -> int:
    (key,) = words
    ask("DELETE", key)
    return OK


# Name, what it takes, how many words that may be.
COMMANDS = {
    "mdata-get": (mdata_get, "KEY", (1, 1)),
    "mdata-list": (mdata_list, "", (0, 0)),
    "mdata-put": (mdata_put, "KEY [VALUE]", (1, 2)),
    "mdata-delete": (mdata_delete, "KEY", (1, 1)),
}


def main(argv: "list[str]") -> int:
    """Run the command that argv[0] names."""
    name = argv[0].rpartition("/")[2]
    function, synopsis, (least, most) = COMMANDS[name]
    words = [os.fsencode(word) for word in argv[1:]]
    usage = f"usage: {name} {synopsis}".rstrip()
    if argv[1:] in (["-h"], ["--help"]):
        print(usage)
        return OK
    if words[:1] == [b"--"]:
        del words[0]
    if not least <= len(words) <= most or b"" in words[:1]:
        _complain(usage)
        return USAGE
    try:
        return function(words)
    except Failed as exc:
        _complain(f"{name}: {exc}")
    except BrokenPipeError:
        # Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        pass
    return ERROR


def _write(data: bytes) -> int:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return OK


def _complain(message: str) -> None:
    sys.stderr.write(message + "\n")
