# SPDX-License-Identifier: MPL-2.0
"""hull: sizes, and what status prints."""

import json
import os

import pytest

from hull.cli.hull import COMMAND, parse_size
from hull.errors import Usage
from hull.wire import Json
from tests.unit.cli.fake import Shell, make_shell

STATUS: Json = {
    "server_uuid": "7f1e0c8a-1111-4222-8333-444444444444",
    "platform": "hosted",
    "root": "/var/lib/hull",
    "pool": {
        "name": "zones",
        "driver": "btrfs",
        "state": "ONLINE",
        "size": 20 << 30,
        "allocated": 3 << 29,
        "free": 0,
        "errors": 0,
        "scan": "none requested",
        "devices": ["/dev/loop0", "/dev/loop1"],
    },
    "nic_tags": [{"name": "admin", "link": "h3fa2b0", "address": "10.88.3.1/24"}],
    "vms": 3,
    "running": 2,
    "corrupt": {},
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("HULL_ROOT", "/elsewhere")  # put back whatever --root does to it
    return make_shell(COMMAND, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("20G", 20 << 30), ("20g", 20 << 30), ("1T", 1 << 40)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "20", "G", "0G", "-1G", "1.5G", "20GB", "20 G"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(Usage, match="--pool-size"):
        parse_size(text)


def test_status(run: Shell) -> None:
    done = run("status", answer=STATUS)
    assert (done.status, done.err) == (0, "")
    assert done.out == (
        "root         /var/lib/hull\n"
        "server_uuid  7f1e0c8a-1111-4222-8333-444444444444\n"
        "pool         zones ONLINE btrfs on /dev/loop0, /dev/loop1\n"
        "space        1.5 of 20.0 GiB used\n"
        "nic_tags     admin 10.88.3.1/24\n"
        "vms          3, 2 of them running\n"
    )
    assert run.hulld.asked == [("GET", "/status", None)]


def test_status_as_json(run: Shell) -> None:
    assert json.loads(run("status", "-j", answer=STATUS).out) == STATUS


def test_root_chooses_the_host(run: Shell) -> None:
    run("status", "--root", "/other", answer=STATUS)
    assert os.environ["HULL_ROOT"] == "/other"


def test_wrong_usage_reaches_nobody(run: Shell) -> None:
    for argv in (["up", "extra"], ["up", "--pool-size", "20"], ["down", "-f"], ["status", "x"]):
        assert run(*argv).status == 2
    assert run.hulld.asked == []
