# SPDX-License-Identifier: MPL-2.0
"""The metadata protocol, versions 1 and 2, as text: bytes in, commands out; replies to bytes.

Pure and incremental. What comes in was written by a hostile zone: sizes are bounded, and whatever
does not parse is the command INVALID, to be answered like any other.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

# A line of version 2 carries a value in base64 twice: this is room for one of 280 KiB.
MAX_LINE = 512 * 1024

FRAME = re.compile(rb"V2 ([0-9]{1,7}) ([0-9a-fA-F]{1,8}) (.+)", re.DOTALL)
BODY = re.compile(rb"([0-9a-fA-F]{1,8}) ([A-Z]{1,10})(?: ([A-Za-z0-9+/=]*))?")


class Verb(StrEnum):
    NEGOTIATE = "NEGOTIATE"
    GET = "GET"
    KEYS = "KEYS"
    PUT = "PUT"
    DELETE = "DELETE"
    INVALID = "INVALID"


@dataclass(frozen=True)
class Command:
    """What a zone asks. `request_id` is "" in version 1, which does not have one."""

    verb: Verb
    key: str = ""
    value: str = ""
    request_id: str = ""


INVALID = Command(Verb.INVALID)


class Code(StrEnum):
    SUCCESS = "SUCCESS"
    NOTFOUND = "NOTFOUND"
    FAILURE = "FAILURE"


@dataclass(frozen=True)
class Answer:
    """`text` is the value, the keys one a line, or for FAILURE the reason."""

    code: Code
    text: str = ""


class Parser:
    """The bytes of one connection, cut into commands."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._overlong = False  # the rest of a line of more than MAX_LINE is being thrown away
        self._version = 1

    @property
    def held(self) -> int:
        """Bytes of an unfinished line."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Command]:
        """The commands that `data` completes, in order; any cut of the stream gives the same."""
        *whole, rest = data.split(b"\n")
        commands = [self._end_line(part) for part in whole]
        self._extend(rest)
        return commands

    def _extend(self, part: bytes) -> None:
        if self._overlong or len(self._buffer) + len(part) > MAX_LINE:
            self._overlong = True
            self._buffer.clear()
        else:
            self._buffer += part

    def _end_line(self, part: bytes) -> Command:
        self._extend(part)
        line, overlong = bytes(self._buffer), self._overlong
        self._buffer.clear()
        self._overlong = False
        if overlong:
            return INVALID
        if line == b"NEGOTIATE V2":
            self._version = 2
            return Command(Verb.NEGOTIATE)
        return parse_v1(line) if self._version == 1 else parse_v2(line)


def parse_v1(line: bytes) -> Command:
    """A line of version 1, without its end."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return INVALID
    if text == "KEYS":
        return Command(Verb.KEYS)
    verb, _, key = text.partition(" ")
    return Command(Verb.GET, key) if verb == "GET" and key else INVALID


def parse_v2(line: bytes) -> Command:
    """A frame of version 2, without its end."""
    frame = FRAME.fullmatch(line)
    if frame is None:
        return INVALID
    length, checksum, body = frame.groups()
    if int(length) != len(body) or int(checksum, 16) != crc32(body):
        return INVALID
    parts = BODY.fullmatch(body)
    if parts is None:
        return INVALID
    request_id, verb, argument = parts.groups()
    try:
        return _command(verb.decode(), _decode(argument or b""), request_id.decode())
    except ValueError:
        return INVALID


def _command(verb: str, argument: str, request_id: str) -> Command:
    match verb:
        case "KEYS":
            return Command(Verb.KEYS, request_id=request_id)
        case "GET" | "DELETE" if argument:
            return Command(Verb(verb), argument, request_id=request_id)
        case "PUT":
            key, separator, value = argument.partition(" ")
            if separator and key:
                return Command(Verb.PUT, _decode(key.encode()), _decode(value.encode()), request_id)
        case _:
            pass
    return INVALID


def _decode(data: bytes) -> str:
    """Raises ValueError, of which UnicodeDecodeError and binascii.Error are kinds."""
    if len(data) % 4:
        raise binascii.Error("a base64 text has a length of four times something")
    return base64.b64decode(data, validate=True).decode()


def reply(command: Command, answer: Answer) -> bytes:
    """The answer's bytes, in the version that the command came in."""
    if command.verb is Verb.NEGOTIATE:
        return b"V2_OK\n"
    if command.verb is Verb.INVALID:
        return b"invalid command\n"
    text = answer.text.encode("utf-8", "replace")
    if command.request_id:
        return _reply_v2(command.request_id, answer.code, text)
    if answer.code is not Code.SUCCESS:
        return answer.code.encode() + b"\n"
    lines = [b"." + line if line.startswith(b".") else line for line in text.split(b"\n")]
    return b"SUCCESS\n" + b"\n".join(lines) + b"\n.\n"


def _reply_v2(request_id: str, code: Code, text: bytes) -> bytes:
    body = f"{request_id} {code}".encode()
    if text:
        body += b" " + base64.b64encode(text)
    return b"V2 %d %08x %s\n" % (len(body), crc32(body), body)
