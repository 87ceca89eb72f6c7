# SPDX-License-Identifier: MPL-2.0
"""The metadata protocol: what parses, what does not, and that no cut of the stream matters."""

from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hull.metadata.protocol import (
    INVALID,
    MAX_LINE,
    Answer,
    Code,
    Command,
    Parser,
    Verb,
    parse_v1,
    parse_v2,
    reply,
)
from mdata import client

NEGOTIATE = b"NEGOTIATE V2\n"


def v2(body: bytes) -> bytes:
    return b"V2 %d %08x %s\n" % (len(body), crc32(body), body)


STREAMS = st.lists(
    st.one_of(
        st.just(NEGOTIATE),
        st.sampled_from([b"GET a\n", b"KEYS\n", b"\n", b"GET \n", b"V2 1 0 a\n"]),
        st.binary(max_size=20).map(lambda key: client.frame(b"0000abcd", "GET", key)),
        st.tuples(st.binary(max_size=9), st.binary(max_size=30)).map(
            lambda pair: client.frame(b"1", "PUT", client.pair(*pair))
        ),
        st.binary(max_size=50),
    )
).map(b"".join)


@given(STREAMS, st.lists(st.integers(0, 500)))
def test_any_cut_gives_the_same_commands(stream: bytes, cuts: list[int]) -> None:
    whole = Parser()
    expected = whole.feed(stream)
    parser, commands, start = Parser(), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        commands += parser.feed(stream[start:cut])
        start = max(start, cut)
    assert commands == expected
    assert parser.held == whole.held


@given(st.binary(max_size=200))
def test_rubbish_gives_one_command_a_line(data: bytes) -> None:
    assert len(Parser().feed(data)) == data.count(b"\n")


@settings(max_examples=20)
@given(st.lists(st.integers(1, 2 * MAX_LINE), min_size=1, max_size=5))
def test_an_endless_line_holds_no_memory(sizes: list[int]) -> None:
    parser = Parser()
    for size in sizes:
        assert parser.feed(b"x" * size) == []
        assert parser.held <= MAX_LINE
    expected = [INVALID, Command(Verb.GET, "a")]
    assert parser.feed(b"\nGET a\n") == expected


def test_the_longest_line_is_read_and_a_longer_one_is_not() -> None:
    key = b"k" * (MAX_LINE - len(b"GET "))
    assert Parser().feed(b"GET " + key + b"\n") == [Command(Verb.GET, key.decode())]
    assert Parser().feed(b"GET k" + key + b"\n") == [INVALID]


@given(st.text(min_size=1), st.text())
def test_what_the_client_sends_is_what_arrives(key: str, value: str) -> None:
    parser = Parser()
    parser.feed(NEGOTIATE)
    raw = key.encode("utf-8", "surrogatepass")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return
    sent = client.frame(b"00c0ffee", "PUT", client.pair(raw, value.encode()))
    assert parser.feed(sent) == [Command(Verb.PUT, key, value, "00c0ffee")]
    sent = client.frame(b"00c0ffee", "DELETE", raw)
    assert parser.feed(sent) == [Command(Verb.DELETE, key, "", "00c0ffee")]


@given(st.text())
def test_what_is_answered_is_what_the_client_reads(value: str) -> None:
    command = Command(Verb.GET, "k", "", "00c0ffee")
    line = reply(command, Answer(Code.SUCCESS, value))
    assert line.endswith(b"\n")
    assert client.parse(line[:-1], b"00c0ffee") == value.encode()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET",
        b"GET ",
        b"get a",
        b"PUT a b",
        b"DELETE a",
        b"KEYS ",
        b"GET \xff",
    ],
)
def test_version_1_knows_get_and_keys_only(line: bytes) -> None:
    assert parse_v1(line) == INVALID


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"GET a",
        b"V2",
        b"V2 0 00000000 ",
        v2(b"1 KEYS")[:-1].replace(b"V2 6", b"V2 7"),
        b"V2 6 00000000 1 KEYS",
        v2(b"1 GET")[:-1],
        v2(b"1 GET ")[:-1],
        v2(b"1 GET YQ=")[:-1],
        v2(b"1 GET YQ")[:-1],
        v2(b"1 GET Y===")[:-1],
        v2(b"1 GET /w==")[:-1],
        v2(b"1 PUT YQ==")[:-1],
        v2(b"1 PUT " + b"IFlRPT0=")[:-1],
        v2(b"1 EXEC YQ==")[:-1],
        v2(b"xyz GET YQ==")[:-1],
        v2(b"123456789 GET YQ==")[:-1],
        v2(b"1 GET YQ==\0")[:-1],
        b"V2 99999999999999999999 0 a",
    ],
)
def test_a_bad_frame_is_an_invalid_command(line: bytes) -> None:
    assert parse_v2(line) == INVALID
    assert reply(INVALID, Answer(Code.SUCCESS)) == b"invalid command\n"


def test_a_documented_frame() -> None:
    # From cloud-init's tests of its SmartOS data source: GET of the key "foo".
    assert parse_v2(v2(b"72ffc1a6 GET Zm9v")[:-1]) == Command(Verb.GET, "foo", "", "72ffc1a6")


def test_negotiation_changes_the_language_once_and_for_all() -> None:
    parser = Parser()
    frame = client.frame(b"1", "KEYS", b"")
    assert parser.feed(b"GET a\n" + frame) == [Command(Verb.GET, "a"), INVALID]
    assert parser.feed(NEGOTIATE + b"GET a\n" + frame + NEGOTIATE) == [
        Command(Verb.NEGOTIATE),
        INVALID,
        Command(Verb.KEYS, request_id="1"),
        Command(Verb.NEGOTIATE),
    ]
    assert reply(Command(Verb.NEGOTIATE), Answer(Code.SUCCESS)) == b"V2_OK\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(Code.SUCCESS, "a"), b"SUCCESS\na\n.\n"),
        (Answer(Code.SUCCESS, "a\n.\n..b"), b"SUCCESS\na\n..\n...b\n.\n"),
        (Answer(Code.SUCCESS, ""), b"SUCCESS\n\n.\n"),
        (Answer(Code.NOTFOUND), b"NOTFOUND\n"),
        (Answer(Code.FAILURE, "why"), b"FAILURE\n"),
    ],
)
def test_replies_of_version_1(answer: Answer, expected: bytes) -> None:
    assert reply(Command(Verb.GET, "k"), answer) == expected


def test_replies_of_version_2() -> None:
    command = Command(Verb.GET, "k", "", "ab")
    assert reply(command, Answer(Code.SUCCESS, "a")) == v2(b"ab SUCCESS YQ==")
    assert reply(command, Answer(Code.SUCCESS)) == v2(b"ab SUCCESS")
    assert reply(command, Answer(Code.NOTFOUND)) == v2(b"ab NOTFOUND")
