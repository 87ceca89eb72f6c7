# SPDX-License-Identifier: MPL-2.0
"""Records of a send stream: what is written is read, what is broken is said to be."""

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.errors import Corrupt, HostError
from hull.vm.vmbundle import (
    BLOCK,
    MAX_RECORD,
    Header,
    encode_header,
    padded,
    parse_header,
    read_record,
    read_stream,
    write_record,
)

NAMES = st.from_regex(r"[A-Za-z0-9._:/@-]{0,300}", fullmatch=True)


@given(NAMES, st.integers(0, MAX_RECORD), st.integers(0, 2**32 - 1))
def test_a_header_comes_back(name: str, size: int, checksum: int) -> None:
    header = Header(name=name, size=size, checksum=checksum)
    raw = encode_header(header)
    assert len(raw) == BLOCK
    assert parse_header(raw) == header


@given(st.binary(min_size=BLOCK, max_size=BLOCK))
def test_rubbish_is_no_header(raw: bytes) -> None:
    with pytest.raises(Corrupt):
        parse_header(raw)


@pytest.mark.parametrize(
    "fields",
    [
        ("MAGIC-VMBUNDLE", "2", "0", "JSON", "0", "0"),
        ("MAGIC-VMBUNDLE", "1", "zz", "JSON", "0", "0"),
        ("MAGIC-VMBUNDLE", "1", "0", "JSON", "-1", "0"),
        ("MAGIC-VMBUNDLE", "1", "0", "JSON", "1", "1"),
        ("MAGIC-VMBUNDLE", "1", "0", "JSON", str(MAX_RECORD + 1), str(padded(MAX_RECORD + 1))),
        ("MAGIC-VMBUNDLE", "1", "0", "JSON"),
    ],
)
def test_a_broken_header(fields: tuple[str, ...]) -> None:
    with pytest.raises(Corrupt):
        parse_header("\0".join(fields).encode().ljust(BLOCK, b"\0"))


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_records_come_back(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("bundle") / "stream"
    with path.open("wb") as file:
        for data in payloads:
            write_record(file.fileno(), "a@b", data)
    assert path.stat().st_size % BLOCK == 0
    with path.open("rb") as file:
        assert [read_record(file.fileno()) for _ in payloads] == [
            ("a@b", data) for data in payloads
        ]
        with pytest.raises(Corrupt, match="ends too early"):
            read_record(file.fileno())


def test_a_stream_ends_with_an_empty_record(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("wb") as file:
        for name, data in (("a", b"1"), ("a", b"2"), ("a", b""), ("b", b"3")):
            write_record(file.fileno(), name, data)
    with (tmp_path / "stream").open("rb") as file:
        assert list(read_stream(file.fileno(), "a")) == [b"1", b"2"]
        with pytest.raises(Corrupt, match="b where c should be"):
            list(read_stream(file.fileno(), "c"))


def test_a_pipe_that_does_not_wait() -> None:
    """The caller of vmadm may have set O_NONBLOCK, and it holds for all who share the pipe."""
    reader, writer = os.pipe()
    for fd in (reader, writer):
        os.set_blocking(fd, False)
    found: list[tuple[str, bytes]] = []
    thread = threading.Thread(target=lambda: found.append(read_record(reader)))
    thread.start()
    time.sleep(0.02)
    write_record(writer, "a", b"x" * 1_000_000)
    thread.join(10)
    assert found == [("a", b"x" * 1_000_000)]
    os.close(reader)
    with pytest.raises(HostError, match="cannot write the stream"):
        write_record(writer, "a", b"x")
    os.close(writer)
