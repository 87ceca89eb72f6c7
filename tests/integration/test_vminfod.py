# SPDX-License-Identifier: MPL-2.0
"""vminfod: what it answers, to whom, and that a port that is taken harms nobody."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.integration.hosts import BIN, TestHost, install_image, new_host

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones, pytest.mark.needs_netns]
PORT = 9090


def restart(host: TestHost, line: str) -> None:
    """Say it in /usbkey/config and let hulld read that."""
    config = host.root / "usbkey/config"
    kept = [x for x in config.read_text().splitlines() if not x.startswith("vminfod_port")]
    config.write_text("\n".join([*kept, line, ""]))
    host.kill_hulld(signal.SIGTERM)
    host.up()


@pytest.fixture(scope="module")
def served() -> Iterator[TestHost]:
    with new_host() as made:
        install_image(made, "base-64")
        restart(made, f"vminfod_port={PORT}")
        yield made


def http(host: TestHost, target: str, *setpriv: str) -> tuple[int, str]:
    code = (
        "import urllib.request, urllib.error\n"
        "try:\n"
        f"    r = urllib.request.urlopen('http://127.0.0.1:{PORT}{target}', timeout=10)\n"
        "except urllib.error.HTTPError as e:\n"
        "    r = e\n"
        "print(r.status)\n"
        "print(r.read().decode())\n"
    )
    done = host.in_netns(*setpriv, "/usr/bin/python3", "-c", code)
    status, _, body = done.stdout.partition("\n")
    return int(status), body.strip()


def vminfo(host: TestHost, *args: str) -> "subprocess.CompletedProcess[str]":
    return host.in_netns("env", f"HULL_ROOT={host.root}", str(BIN / "vminfo"), *args, check=False)


def test_what_it_answers(served: TestHost, base_image: str) -> None:
    uuid = served.create(alias="told", image_uuid=base_image, autoboot=False)
    assert http(served, "/ping") == (200, '{"ping": "pong"}')
    assert vminfo(served, "ping").stdout == "pong\n"
    assert "state: running" in vminfo(served, "status").stdout
    assert json.loads(vminfo(served, "status", "-j").stdout)["vms"] == 1
    (vm,) = json.loads(http(served, "/vms")[1])
    assert (vm["uuid"], vm["alias"]) == (uuid, "told")
    assert json.loads(vminfo(served, "vms").stdout) == [vm]
    one = json.loads(http(served, f"/vms/{uuid}")[1])
    assert one == served.json("vmadm", "get", uuid)
    assert json.loads(vminfo(served, "vm", uuid).stdout) == one
    nobody = uuid.replace(uuid[:8], "00000000")
    assert http(served, f"/vms/{nobody}")[0] == 404
    done = vminfo(served, "vm", nobody)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        f"vminfo vm: VM {nobody} not found",
    )
    assert http(served, "/zones")[0] == 404
    served("vmadm", "delete", uuid)


def test_the_stream(served: TestHost, base_image: str) -> None:
    uuid = served.create(alias="streams", image_uuid=base_image, autoboot=False)
    reader = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{served.netns}", str(BIN / "vminfo"), "events", "-j", "-r"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"HULL_ROOT": str(served.root)},
    )
    try:
        assert reader.stdout
        first = json.loads(reader.stdout.readline())
        assert list(first) == ["type", "date", "uuid", "vms"]
        assert [vm["uuid"] for vm in json.loads(first["vms"])] == [uuid]
        served("vmadm", "update", uuid, "quota=7")
        changed = json.loads(reader.stdout.readline())
        assert (changed["type"], changed["zonename"]) == ("modify", uuid)
        quota = next(each for each in changed["changes"] if each["prettyPath"] == "quota")
        assert quota == {
            "prettyPath": "quota",
            "path": ["quota"],
            "action": "changed",
            "oldValue": 10,
            "newValue": 7,
        }
        served("vmadm", "delete", uuid)
        assert any(json.loads(line)["type"] == "delete" for line in reader.stdout)
    finally:
        reader.kill()
        reader.communicate()


def test_only_root_is_answered(served: TestHost) -> None:
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert http(served, "/vms", *as_nobody)[0] == 403
    assert http(served, "/vms")[0] == 200


def test_a_port_that_is_taken_or_wrong_harms_nobody(served: TestHost) -> None:
    code = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 9191)); "
        "print('up', flush=True); time.sleep(60)"
    )
    squatter = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{served.netns}", "/usr/bin/python3", "-c", code],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert squatter.stdout
        squatter.stdout.readline()
        for line in ("vminfod_port=9191", "vminfod_port=many", "vminfod_port=0"):
            restart(served, line)
            assert served("vmadm", "list").returncode == 0
        log = (served.root / "var/log/hulld.log").read_text()
        assert "vminfod is off: cannot listen on 127.0.0.1:9191" in log
        assert "is no port" in log
        assert vminfo(served, "ping", "-p", str(PORT)).returncode == 1
    finally:
        squatter.kill()
        squatter.communicate()
        restart(served, f"vminfod_port={PORT}")
    deadline = time.monotonic() + 10
    while vminfo(served, "ping").returncode and time.monotonic() < deadline:
        time.sleep(0.05)
    assert vminfo(served, "ping").stdout == "pong\n"
