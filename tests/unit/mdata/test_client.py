# SPDX-License-Identifier: MPL-2.0
"""The zone's side of the protocol: frames out, answers in."""

from zlib import crc32

import pytest

from mdata.client import Failed, frame, pair, parse


def line(body: bytes) -> bytes:
    return b"V2 %d %08x %s" % (len(body), crc32(body), body)


def test_frame() -> None:
    assert frame(b"0000abcd", "GET", b"foo") == line(b"0000abcd GET Zm9v") + b"\n"
    assert frame(b"0000abcd", "KEYS", b"") == line(b"0000abcd KEYS") + b"\n"
    assert pair(b"k", b"v") == b"aw== dg=="
    assert pair(b"k", b"") == b"aw== "


def test_parse() -> None:
    assert parse(line(b"1 SUCCESS YQ=="), b"1") == b"a"
    assert parse(line(b"1 SUCCESS"), b"1") == b""
    assert parse(line(b"1 NOTFOUND"), b"1") is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (line(b"1 FAILURE d2h5"), "^why$"),
        (line(b"1 FAILURE"), "refused"),
        (line(b"2 SUCCESS YQ=="), "another request"),
        (line(b"1 SUCCESS YQ==").replace(b"YQ", b"Yg"), "answered"),
        (b"invalid command", "invalid command"),
        (b"", "answered"),
    ],
)
def test_what_is_no_answer(answer: bytes, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        parse(answer, b"1")
