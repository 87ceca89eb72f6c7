# SPDX-License-Identifier: MPL-2.0
"""send, receive, reprovision and kill by the commands, between two real hosts: bit by bit."""

import hashlib
import json
import os
import socket
import stat
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration import hosts
from tests.integration.hosts import BIN, TestHost, wait_for

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_btrfs, pytest.mark.needs_zones]

ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, who)
    for tag, permissions, who in (
        (0x01, 7, 0xFFFFFFFF), (0x02, 5, 1234), (0x04, 4, 0xFFFFFFFF),
        (0x10, 5, 0xFFFFFFFF), (0x20, 0, 0xFFFFFFFF),
    )
)  # fmt: skip
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service


@pytest.fixture(scope="module")
def second() -> Iterator[TestHost]:
    """Another host, without any image."""
    with hosts.new_host() as made:
        yield made


@pytest.fixture
def other(second: TestHost) -> Iterator[TestHost]:
    yield second
    for uuid in second("vmadm", "lookup").stdout.split():
        second("vmadm", "delete", uuid, check=False)


def environment(host: TestHost, path: str = "") -> dict[str, str]:
    found = os.environ | {"HULL_ROOT": str(host.root)}
    return found | ({"PATH": f"{path}:{found['PATH']}"} if path else {})


def make(host: TestHost, image: str, **more: object) -> str:
    nic = {"nic_tag": "admin", "ip": "dhcp", "primary": True}
    payload: dict[str, object] = {"alias": "mover", "brand": "joyent", "image_uuid": image}
    return host.create(**{**payload, "nics": [nic], "max_physical_memory": 256, **more})


def fill(root: Path) -> None:
    """All that a file system can hold and a stream may lose."""
    top = root / "srv/things"
    top.mkdir(mode=0o2775)
    os.chown(top, 70, 71)
    (top / "owned").write_text("mine")
    os.chown(top / "owned", 1000, 65534)
    (top / "owned").chmod(0o4751)
    os.setxattr(top / "owned", "security.capability", CAPABILITY)
    os.setxattr(top / "owned", "user.color", b"blue\0\xff")
    (top / "listed").mkdir()
    os.setxattr(top / "listed", "system.posix_acl_access", ACL)
    os.setxattr(top / "listed", "system.posix_acl_default", ACL)
    os.link(top / "owned", top / "listed/same")
    with (top / "sparse").open("wb") as file:
        file.truncate(1 << 28)
        for place in (0, 100 << 20, (1 << 28) - 1):
            file.seek(place)
            file.write(b"x")
    os.mkfifo(top / "fifo", 0o640)
    (top / "link").symlink_to("../../nowhere/at all")
    (top / "empty").touch()
    (top / os.fsdecode(b"\xff not utf-8 \n")).write_bytes(os.urandom(3 << 20))
    os.utime(top / "owned", ns=(1, 123456789))


def snapshot_of(root: Path) -> dict[bytes, tuple[Any, ...]]:
    """Everything about every file but when it was last read or changed its inode."""
    found: dict[bytes, tuple[Any, ...]] = {}
    first: dict[int, bytes] = {}
    top = os.fsencode(root)
    for directory, below, files in os.walk(top):
        for name in (b".", *below, *files) if directory == top else (*below, *files):
            path = os.path.join(directory, name)
            about = os.lstat(path)
            relative = os.path.relpath(path, top)
            what: Any = ""
            if stat.S_ISLNK(about.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(about.st_mode):
                what = (first.setdefault(about.st_ino, relative), about.st_nlink, digest(path))
            attributes = os.listxattr(path, follow_symlinks=False)
            found[relative] = (
                about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns, what,
                {key: os.getxattr(path, key, follow_symlinks=False) for key in sorted(attributes)},
            )  # fmt: skip
    return found


def digest(path: bytes) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pipe(source: TestHost, target: TestHost, uuid: str) -> None:
    """`vmadm send | vmadm receive`, as an operator types it."""
    with (
        subprocess.Popen(
            [str(BIN / "vmadm"), "send", uuid],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(source),
        ) as sender,
        subprocess.Popen(
            [str(BIN / "vmadm"), "receive"],
            stdin=sender.stdout, stderr=subprocess.PIPE, env=environment(target), text=True,
        ) as receiver,
    ):  # fmt: skip
        assert sender.stdout
        sender.stdout.close()
        said = receiver.communicate(timeout=120)[1]
        assert (receiver.returncode, said) == (0, f"Successfully received VM {uuid}\n")
        assert sender.stderr
        assert sender.stderr.read().decode() == f"Successfully sent VM {uuid}\n"
        assert sender.wait(10) == 0


def test_a_vm_moves_bit_by_bit(clean_host: TestHost, other: TestHost, base_image: str) -> None:
    uuid = make(clean_host, base_image, tags={"role": "db"})
    fill(clean_host.zone_root(uuid))
    clean_host("vmadm", "create-snapshot", uuid, "before")
    (clean_host.zone_root(uuid) / "srv/things/empty").unlink()
    view = clean_host.json("vmadm", "get", uuid)
    pipe(clean_host, other, uuid)
    assert clean_host.json("vmadm", "get", uuid)["state"] == "stopped"
    assert not list((clean_host.root / "zones/.snapshots").glob("*/sending"))
    assert not list((other.root / "zones/.snapshots").glob("*/sending"))
    before, after = (snapshot_of(one.zone_root(uuid)) for one in (clean_host, other))
    assert len(after) > 1000
    assert {path for path in before if before[path] != after.get(path)} == set()
    assert after.keys() == before.keys()
    sparse = other.zone_root(uuid) / "srv/things/sparse"
    assert (sparse.stat().st_size, sparse.stat().st_blocks * 512 < 1 << 20) == (1 << 28, True)

    there = other.json("vmadm", "get", uuid)
    assert (there["state"], there["autoboot"]) == ("stopped", False)
    for name in ("alias", "tags", "quota", "image_uuid", "nics", "create_timestamp"):
        assert there[name] == view[name], name
    assert other("vmadm", "start", uuid).stderr == f"Successfully started VM {uuid}\n"
    assert other("zlogin", uuid, "stat -c %U:%a /srv/things/owned").stdout == "UNKNOWN:4751\n"
    other("vmadm", "rollback-snapshot", uuid, "before")
    assert (other.zone_root(uuid) / "srv/things/empty").exists()


@contextmanager
def sshd(directory: Path, far: TestHost) -> Iterator[Path]:
    """The far host's sshd, for root's key; yields where an `ssh` is that knows it as `far`."""
    key = directory / "key"
    for name in ("key", "hostkey"):
        make_key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(make_key, check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = directory / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/hostkey\nPidFile none\n"
        f"AuthorizedKeysFile {key}.pub\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        f"SetEnv HULL_ROOT={far.root} PATH={BIN}:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    (directory / "ssh_config").write_text(
        f"Host far\n HostName 127.0.0.1\n Port {port}\n User root\n IdentityFile {key}\n"
        f" BatchMode yes\n StrictHostKeyChecking no\n UserKnownHostsFile {directory}/known\n"
        f" LogLevel ERROR\n"
    )
    ssh = directory / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {directory}/ssh_config "$@"\n')
    ssh.chmod(0o755)
    place = Path("/run/sshd")  # sshd wants it, and does not make it
    made = not place.exists()
    place.mkdir(mode=0o755, exist_ok=True)
    with subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", str(config)]) as process:
        try:
            wait_for(lambda: answers(port), what="sshd")
            yield ssh.parent
        finally:
            process.terminate()
            process.wait(10)
            if made:
                place.rmdir()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as sock:
        return sock.recv(4) == b"SSH-"
    return False


def test_send_to_a_host_over_ssh(
    clean_host: TestHost, other: TestHost, base_image: str, tmp_path: Path
) -> None:
    uuid = make(clean_host, base_image)
    fill(clean_host.zone_root(uuid))

    def send(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "vmadm"), "send", uuid, "far"], env=environment(clean_host, str(path)),
            capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=120,
        )  # fmt: skip

    with sshd(tmp_path, other) as path:
        done = send(path)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.splitlines() == [
            f"Successfully received VM {uuid}",
            f"Successfully sent VM {uuid}",
        ]
        before, after = (snapshot_of(one.zone_root(uuid)) for one in (clean_host, other))
        assert after == before
        # It has the VM already: the sender is told, and keeps it.
        again = send(path)
    assert again.returncode == 1
    assert f"uuid: VM with UUID {uuid} already exists" in again.stderr
    assert "`ssh far vmadm receive` ended with status 1" in again.stderr
    away = send(path)
    assert (away.returncode, "ended with status 255" in away.stderr) == (1, True)
    assert clean_host.json("vmadm", "get", uuid)["state"] == "stopped"


def test_a_stream_of_the_first_version(clean_host: TestHost) -> None:
    """Kept since: whatever `vmadm send` writes later, this is received."""
    stream = Path(__file__).parents[1] / "data/records/vm-v1.stream"
    clean_host("vmadm", "receive", "-f", str(stream))
    (view,) = clean_host.json("vmadm", "lookup", "-j")
    assert (view["alias"], view["tags"], view["quota"]) == ("old", {"role": "db"}, 2)
    assert [each["name"] for each in view["snapshots"]] == ["before"]
    motd = clean_host.zone_root(view["uuid"]) / "etc/motd"
    assert motd.read_text() == "from version 1\n"
    assert (motd.stat().st_uid, motd.stat().st_mode & 0o777) == (7, 0o640)


def test_a_file_and_no_daemon(
    clean_host: TestHost, other: TestHost, base_image: str, tmp_path: Path
) -> None:
    """--here reads and writes the same stream."""
    uuid = make(clean_host, base_image, autoboot=False)
    with (tmp_path / "vm").open("wb") as file:
        subprocess.run(
            [str(BIN / "vmadm"), "send", uuid], stdout=file, env=environment(clean_host), check=True
        )
    other.end_hulld()
    try:
        done = other("vmadm", "--here", "receive", "-f", str(tmp_path / "vm"))
        assert done.stderr == f"Successfully received VM {uuid}\n"
        sent = subprocess.run(
            [str(BIN / "vmadm"), "--here", "send", uuid],
            stdout=subprocess.PIPE, env=environment(other), check=True,
        )  # fmt: skip
    finally:
        other.up()
    assert sent.stdout.startswith(b"MAGIC-VMBUNDLE\0")
    assert snapshot_of(other.zone_root(uuid)) == snapshot_of(clean_host.zone_root(uuid))


def data_of(host: TestHost) -> list[str]:
    """What VMs leave on a pool."""
    top = host.root / "zones"
    found = [path.name for path in top.iterdir() if path.name.count("-") >= 4]
    return [*found, *(path.name for path in (top / ".staging").iterdir())]


def test_a_receive_that_is_killed_leaves_nothing(
    clean_host: TestHost, other: TestHost, base_image: str, tmp_path: Path
) -> None:
    uuid = make(clean_host, base_image, autoboot=False)
    with (tmp_path / "vm").open("wb") as file:
        subprocess.run(
            [str(BIN / "vmadm"), "send", uuid], stdout=file, env=environment(clean_host), check=True
        )
    stream = (tmp_path / "vm").read_bytes()
    with subprocess.Popen(
        [str(BIN / "vmadm"), "receive"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(other),
    ) as receiver:  # fmt: skip
        assert receiver.stdin
        assert receiver.stderr
        receiver.stdin.write(stream[: len(stream) // 2])
        receiver.stdin.flush()
        listed = other("vmadm", "list", "-p", "-o", "uuid,state,zone_state").stdout
        assert listed == f"{uuid}:receiving:receiving\n"
        other.kill_hulld()
        said = receiver.stderr.read().decode()
        assert receiver.wait(10) == 1
        assert "hulld went away before the job was done" in said
    other.up()
    assert other("vmadm", "lookup").stdout == ""
    wait_for(lambda: not data_of(other), what="an empty pool")
    assert not list((other.root / "etc/zones").glob("*.json"))
    # A stream that ends too early, without anybody's death.
    done = subprocess.run(
        [str(BIN / "vmadm"), "receive"], input=stream[: len(stream) // 2],
        env=environment(other), capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr.decode()) == (
        1,
        "vmadm receive: the stream ends too early\n",
    )
    assert not data_of(other)


def test_a_send_that_is_killed_leaves_the_vm(clean_host: TestHost, base_image: str) -> None:
    uuid = make(clean_host, base_image, autoboot=False)
    with subprocess.Popen(
        [str(BIN / "vmadm"), "send", uuid],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(clean_host),
    ) as sender:  # fmt: skip
        assert sender.stdout
        assert sender.stdout.read(15) == b"MAGIC-VMBUNDLE\0"  # and nobody reads on
        clean_host.kill_hulld()
        assert sender.wait(10) == 1
    clean_host.up()
    assert clean_host.json("vmadm", "get", uuid)["state"] == "stopped"
    assert not list((clean_host.root / "zones/.snapshots").glob("*/sending"))
    clean_host("vmadm", "start", uuid)


def test_a_client_that_hands_over_nothing(clean_host: TestHost) -> None:
    """hulld's own words, for those who come without a descriptor."""
    done = subprocess.run(
        ["curl", "-s", "--unix-socket", str(clean_host.root / "run/hull/hulld.sock"), "-d", "{}",
         "http://hull/vms?action=receive"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["message"] == "POST /vms?action=receive takes a file descriptor"


def test_reprovision_keeps_what_is_the_vms(clean_host: TestHost, base_image: str) -> None:
    uuid = make(clean_host, base_image, delegate_dataset=True, customer_metadata={"a": "1"})
    clean_host("zlogin", uuid, "touch /etc/mine")
    (clean_host.root / f"zones/{uuid}/data/precious").write_text("kept")
    before = clean_host.json("vmadm", "get", uuid)
    address = clean_host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3]
    done = clean_host("vmadm", "reprovision", uuid, stdin=json.dumps({"image_uuid": base_image}))
    assert done.stderr == f"Successfully reprovisioned VM {uuid}\n"
    after = clean_host.json("vmadm", "get", uuid)
    live = {"pid", "boot_timestamp", "last_modified", "zoneid", "zonedid"}
    assert {key for key in before if before[key] != after.get(key)} <= live
    assert clean_host("zlogin", uuid, "test -e /etc/mine", check=False).returncode == 1
    assert (clean_host.root / f"zones/{uuid}/data/precious").read_text() == "kept"
    assert clean_host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3] == address
    wrong = clean_host("vmadm", "reprovision", uuid, stdin="{}", check=False)
    assert wrong.returncode == 1
    said = f"Failed to reprovision VM {uuid}: payload is missing image_uuid"
    assert wrong.stderr.splitlines()[0] == f"vmadm reprovision: {said}"


def test_kill(clean_host: TestHost, base_image: str) -> None:
    uuid = make(clean_host, base_image, restart_init=False)
    done = clean_host("vmadm", "kill", "-9", uuid)
    assert done.stderr == f'Sent signal "SIGKILL" to init process for VM {uuid}\n'
    wait_for(lambda: clean_host.json("vmadm", "get", uuid)["state"] == "stopped", what="the end")
    view = clean_host.json("vmadm", "get", uuid)
    assert view["exit_status"] == -9
    again = clean_host("vmadm", "kill", uuid, check=False)
    assert again.returncode == 1
    assert f"Cannot find running init PID for VM {uuid}" in again.stderr
