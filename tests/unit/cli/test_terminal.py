# SPDX-License-Identifier: MPL-2.0
"""The keys that leave a console, and what a login tells hulld of the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hull.cli import terminal
from hull.cli.terminal import Escape, process


def leaves(*typed: bytes, escape: bytes = b"\x1d") -> bool:
    found = Escape(key=escape)
    return any(found.seen(data) for data in typed)


@pytest.mark.parametrize(
    "typed",
    [
        [b"\x1d"],
        [b"ls\r\x1d"],
        [b"~."],
        [b"ls\r~."],
        [b"ls\n~."],
        [b"ls\r", b"~", b"."],
        [b"\r\r\r~."],
    ],
)
def test_these_leave(typed: list[bytes]) -> None:
    assert leaves(*typed)


@pytest.mark.parametrize(
    "typed", [[b""], [b"ls ~.\r"], [b"a~."], [b"~~."], [b"~", b"x", b"."], [b"~\r."], [b".~"]]
)
def test_these_stay(typed: list[bytes]) -> None:
    assert not leaves(*typed)


def test_another_key() -> None:
    assert leaves(b"a@", escape=b"@")
    assert not leaves(b"\x1d", escape=b"@")


def test_another_first_character_or_none() -> None:
    assert Escape(b"%").seen(b"ls\r%.")
    assert not Escape(b"%").seen(b"ls\r~.")
    assert not Escape(b"").seen(b"\r~.\r.\x1d")
    assert [str(e) for e in (Escape(), Escape(key=b"\x1d"))] == ["~.", "^] or ~."]


@given(st.lists(st.binary(max_size=8), max_size=6))
def test_it_does_not_matter_how_typing_is_cut_up(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    lines = whole.replace(b"\r", b"\n").split(b"\n")
    expected = b"\x1d" in whole or any(line.startswith(b"~.") for line in lines)
    assert leaves(*chunks) == expected
    assert leaves(whole) == expected


def test_a_command_without_a_terminal_tells_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert process("root", ["ls", "-l"], terminal=False) == {
        "user": "root",
        "command": "ls -l",
        "safe": False,
        "terminal": False,
        "term": "",
        "rows": 24,
        "columns": 80,
    }


def test_a_terminal_without_a_name_is_a_vt100(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERM", raising=False)
    assert process("root", [], terminal=True)["term"] == "vt100"


def test_write_all_writes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def two_bytes(fd: int, data: bytes) -> int:
        written.append(data[:2])
        return len(data[:2])

    monkeypatch.setattr("os.write", two_bytes)
    terminal.write_all(1, b"abcde")
    assert written == [b"ab", b"cd", b"e"]
