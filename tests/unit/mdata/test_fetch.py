# SPDX-License-Identifier: MPL-2.0
"""mdata:fetch: files are what the metadata says, whole and with their modes."""

from pathlib import Path

import pytest

from mdata import fetch
from mdata.client import Failed

Keys = dict[bytes, bytes]


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """The metadata; files are written below tmp_path."""
    found: Keys = {}
    files = tuple((key, f"{tmp_path}{path}", *rest) for key, path, *rest in fetch.FILES)
    monkeypatch.setattr(fetch, "FILES", files)
    monkeypatch.setattr(fetch, "ask", lambda verb, key: found.get(key))
    return found


def test_files_are_written(keys: Keys, tmp_path: Path) -> None:
    keys |= {b"user-script": b"#!/bin/sh\n:", b"root_authorized_keys": b"ssh-ed25519 AAAA\n"}
    assert fetch.main() == 0
    script = tmp_path / "var/svc/mdata-user-script"
    assert script.read_bytes() == b"#!/bin/sh\n:\n"
    assert script.stat().st_mode & 0o777 == 0o700
    authorized = tmp_path / "root/.ssh/authorized_keys"
    assert authorized.read_bytes() == b"ssh-ed25519 AAAA\n"
    assert authorized.stat().st_mode & 0o777 == 0o600
    assert authorized.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in script.parent.iterdir()) == [script.name]


def test_a_script_goes_with_its_key_and_roots_keys_stay(keys: Keys, tmp_path: Path) -> None:
    keys |= {b"user-script": b"x", b"root_authorized_keys": b"y", b"user-data": b"z"}
    fetch.main()
    keys.clear()
    keys[b"user-script"] = b""
    fetch.main()
    assert not (tmp_path / "var/svc/mdata-user-script").exists()
    assert not (tmp_path / "var/db/mdata-user-data").exists()
    assert (tmp_path / "root/.ssh/authorized_keys").exists()


def test_it_waits_for_the_service(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [Failed("no metadata service"), Failed("no metadata service")]

    def ask(verb: str, key: bytes) -> bytes | None:
        if left:
            raise left.pop()
        return keys.get(key)

    monkeypatch.setattr(fetch, "ask", ask)
    monkeypatch.setattr(fetch, "PAUSE", 0.0)
    assert fetch.main() == 0
    assert capsys.readouterr().err.count("asking again") == 1
