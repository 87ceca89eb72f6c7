# SPDX-License-Identifier: MPL-2.0
"""What the properties of OS brands do, seen from inside real zones and from the host."""

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hull.brand.privilege import CAPABILITIES
from hull.model.prop import Kind, rows
from hull.model.vm import VM
from tests.integration.hosts import TestHost, wait_for

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

NET_RAW, SYS_PTRACE = 13, 19  # linux/capability.h
TESTNET = "192.0.2.0/24"


@pytest.fixture
def shared(clean_host: TestHost) -> Iterator[Path]:
    """A directory of the machine, on a file system that can be shown with other ids."""
    path = clean_host.root / "zones" / f"shared-{secrets.token_hex(4)}"
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def payload(image: str, **more: object) -> dict[str, object]:
    small = {"max_physical_memory": 128, "quota": 2, "nowait": True}
    return {"image_uuid": image, **small, **more}


def admin(**more: object) -> dict[str, object]:
    return {"nic_tag": "admin", "ips": ["dhcp"], **more}


def sh(host: TestHost, uuid: str, command: str) -> str:
    return host("zlogin", uuid, command).stdout.strip()


def update(host: TestHost, uuid: str, **changes: object) -> None:
    host("vmadm", "update", uuid, stdin=json.dumps(changes))


def get(host: TestHost, uuid: str) -> Any:
    return host.json("vmadm", "get", uuid)


def in_c(call: str) -> str:
    """A command that prints what a function of the C library returns."""
    return f'python3 -c "import ctypes; libc = ctypes.CDLL(None); print({call})"'


def refused(host: TestHost, *argv: str, stdin: str = "") -> str:
    done = host(*argv, stdin=stdin, check=False)
    assert done.returncode == 1
    return done.stderr


def test_the_largest_of_everything_boots(clean_host: TestHost, base_image: str) -> None:
    """What is accepted holds: no number is too large for the kernel afterwards."""
    largest = {
        name: row.largest
        for name, row in rows(VM).items()
        if row.kind is Kind.INTEGER and row.allows("J", "c") and not row.choices and name != "ram"
    }
    uuid = clean_host.create(image_uuid=base_image, **largest)
    assert sh(clean_host, uuid, "echo up") == "up"
    update(clean_host, uuid, max_lwps=100, cpu_cap=50)
    update(clean_host, uuid, max_lwps=largest["max_lwps"], cpu_cap=largest["cpu_cap"])
    shown = get(clean_host, uuid)
    wanted = largest | {"cpu_shares": 65535}  # SmartOS's own cap
    assert not {name for name in wanted.keys() & shown.keys() if shown[name] != wanted[name]}


def test_filesystems(clean_host: TestHost, base_image: str, shared: Path) -> None:
    host = clean_host
    (shared / "hello").write_text("from the host\n")
    (shared / "other").mkdir()
    entries: list[dict[str, Any]] = [
        {"type": "lofs", "source": str(shared), "target": "/data/all"},
        {"type": "lofs", "source": str(shared), "target": "/data/only", "options": ["ro"]},
        {"type": "lofs", "source": f"/zones/{shared.name}/hello", "target": "/etc/hello"},
    ]
    uuid = host.create(**payload(base_image, filesystems=entries))
    assert sh(host, uuid, "cat /data/all/hello /data/only/hello /etc/hello").count("\n") == 2
    sh(host, uuid, "echo from the zone > /data/all/said")
    said = shared / "said"
    assert (said.read_text(), said.stat().st_uid) == ("from the zone\n", 0)
    remount = in_c("libc.mount(None, b'/data/only', None, 4096 | 32, None)")
    assert sh(host, uuid, f"{remount}; touch /data/only/x 2>/dev/null || echo read-only") == (
        "-1\nread-only"  # what the host has made read-only the zone's root cannot lift
    )
    assert [each["target"] for each in get(host, uuid)["filesystems"]] == [
        each["target"] for each in entries
    ]
    update(host, uuid, remove_filesystems=["/data/all"])
    update(host, uuid, add_filesystems=[{**entries[0], "target": "/new"}])
    assert sh(host, uuid, "ls /data/all; ls /new 2>/dev/null || echo not yet").endswith("not yet")
    host("vmadm", "reboot", uuid)
    assert "hello" in sh(host, uuid, "ls /new; ls /data/all")
    assert sh(host, uuid, "ls /data/all") == ""


def test_a_symlink_that_a_zone_makes_is_not_followed(
    clean_host: TestHost, base_image: str, shared: Path
) -> None:
    """A zone that can write above another's source must not choose what that one sees."""
    host = clean_host
    inner = shared / "inner"
    inner.mkdir()
    entry = {"type": "lofs", "source": str(inner), "target": "/in"}
    uuid = host.create(**payload(base_image, filesystems=[entry], autoboot=False))
    inner.rmdir()
    inner.symlink_to("/etc")
    assert "open" in refused(host, "vmadm", "start", uuid)
    assert get(host, uuid)["state"] == "stopped"
    inner.unlink()
    inner.mkdir()
    host("vmadm", "start", uuid)


def test_delegated_dataset_and_holds(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    more: dict[str, Any] = {"delegate_dataset": True, "zfs_data_compression": "lz4"}
    uuid = host.create(**payload(base_image, **more, indestructible_delegated=True))
    data = f"/zones/{uuid}/data"
    assert get(host, uuid)["datasets"] == [data[1:]]
    assert sh(host, uuid, f"mkdir {data}/d; echo kept > {data}/d/f; stat -c %u {data}/d") == "0"
    assert "have datasets" in refused(host, "vmadm", "create-snapshot", uuid, "one")
    assert "indestructible_delegated is set, cannot delete" in refused(
        host, "vmadm", "delete", uuid
    )
    host("vmadm", "reboot", uuid)
    assert sh(host, uuid, f"cat {data}/d/f") == "kept"
    update(host, uuid, indestructible_delegated=False)
    host("vmadm", "delete", uuid)
    assert not (host.root / "zones" / uuid).exists()


def test_indestructible_zoneroot_and_archive(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    archive = host.root / "zones/archive"
    archive.mkdir()
    try:
        more = {"indestructible_zoneroot": True, "archive_on_delete": True, "alias": "old"}
        uuid = host.create(**payload(base_image, **more))
        assert "indestructible_zoneroot is set, cannot delete" in refused(
            host, "vmadm", "delete", uuid
        )
        host("vmadm", "update", uuid, "indestructible_zoneroot=false")
        host("vmadm", "delete", uuid)
        assert sorted(path.name for path in (archive / uuid).iterdir()) == [f"{uuid}.json", "logs"]
        assert '"alias": "old"' in (archive / uuid / f"{uuid}.json").read_text()
    finally:
        shutil.rmtree(archive)


def test_snapshot_limit_and_compression(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    more = {"zfs_snapshot_limit": 1, "zfs_root_compression": "gzip-9"}
    uuid = host.create(**payload(base_image, **more))
    host("vmadm", "create-snapshot", uuid, "one")
    assert "zfs_snapshot_limit" in refused(host, "vmadm", "create-snapshot", uuid, "two")
    host("vmadm", "update", uuid, "zfs_snapshot_limit=2")
    host("vmadm", "create-snapshot", uuid, "two")
    assert get(host, uuid)["zfs_root_compression"] == "gzip-9"


def bounding(host: TestHost, uuid: str, process: str = "1") -> int:
    return int(sh(host, uuid, f"grep CapBnd /proc/{process}/status").split()[1], 16)


def test_limit_priv(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    whole = host.create(**payload(base_image))
    assert bounding(host, whole).bit_count() == len(CAPABILITIES)
    uuid = host.create(**payload(base_image, limit_priv="default,-net_rawaccess,-proc_owner"))
    for process in ("1", "self"):  # init, and who logs in
        found = bounding(host, uuid, process)
        assert not found & (1 << NET_RAW | 1 << SYS_PTRACE)
        assert found & 1  # CAP_CHOWN
    assert get(host, uuid)["limit_priv"] == "default,-net_rawaccess,-proc_owner"


def test_tmpfs_is_resized_live(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    uuid = host.create(**payload(base_image, tmpfs=64))
    size = "df -k /tmp | awk 'NR == 2 { print $2 }'"
    assert sh(host, uuid, size) == str(64 * 1024)
    update(host, uuid, tmpfs=96)
    assert sh(host, uuid, size) == str(96 * 1024)
    sh(host, uuid, "dd if=/dev/zero of=/tmp/big bs=1M count=80 2>/dev/null")
    refused(host, "vmadm", "update", uuid, "tmpfs=32")
    assert (sh(host, uuid, size), get(host, uuid)["tmpfs"]) == (str(96 * 1024), 96)
    # Whatever the zone puts there, the host's own file systems keep their size.
    run = os.statvfs(host.root / "run").f_blocks
    unmount = in_c("libc.umount2(b'/tmp', 2)")
    bind = in_c("libc.mount(b'/.zonecontrol', b'/tmp', None, 4096, None)")
    assert sh(host, uuid, f"{unmount}; {bind}") == "0\n0"
    update(host, uuid, tmpfs=48)
    assert os.statvfs(host.root / "run").f_blocks == run
    host("vmadm", "update", uuid, "tmpfs=0")
    host("vmadm", "reboot", uuid)
    assert "tmpfs" not in sh(host, uuid, "df -k /tmp | tail -1")


def test_routes_are_set_from_outside_and_live(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    nics = [{"nic_tag": "admin", "ips": ["10.250.0.5/24"]}, admin()]
    routes = {TESTNET: "10.250.0.9", "198.51.100.7": "nics[0]"}
    uuid = host.create(**payload(base_image, nics=nics, routes=routes))
    said = sh(host, uuid, "ip route")
    assert f"{TESTNET} via 10.250.0.9 dev net0" in said
    assert "198.51.100.7 dev net0" in said
    mac = get(host, uuid)["nics"][0]["mac"]
    update(host, uuid, remove_routes=[TESTNET], set_routes={"203.0.113.0/24": f"macs[{mac}]"})
    said = sh(host, uuid, "ip route")
    assert TESTNET not in said
    assert "203.0.113.0/24 dev net0" in said
    sh(host, uuid, "ip route del 203.0.113.0/24")  # the zone's root may; an update copes
    update(host, uuid, remove_routes=["203.0.113.0/24"])
    host("vmadm", "reboot", uuid)
    said = sh(host, uuid, "ip route")
    assert "198.51.100.7 dev net0" in said
    assert "203.0.113" not in said


def reaches(host: TestHost, uuid: str, address: str, source: str = "") -> bool:
    by = f"-I {source}" if source else ""
    command = f"ping -c1 -W1 {by} {address} >/dev/null 2>&1 && echo yes || echo no"
    return sh(host, uuid, command) == "yes"


def test_protection_is_live(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    uuid = host.create(**payload(base_image, nics=[admin()]))
    nic = get(host, uuid)["nics"][0]
    router = sh(host, uuid, "ip route show default").split()[2]
    foreign = router.rpartition(".")[0] + ".200"
    sh(host, uuid, f"ip addr add {foreign}/22 dev net0")
    assert reaches(host, uuid, router)
    assert not reaches(host, uuid, router, foreign)
    for change in ({"allowed_ips": [foreign]}, {"allowed_ips": [], "allow_ip_spoofing": True}):
        update(host, uuid, update_nics=[{"mac": nic["mac"], **change}])
        assert reaches(host, uuid, router, foreign)
    update(host, uuid, update_nics=[{"mac": nic["mac"], "allow_ip_spoofing": False}])
    assert not reaches(host, uuid, router, foreign)
    assert reaches(host, uuid, router)


def test_blocked_ports_and_addresses_of_the_next_boot(
    clean_host: TestHost, base_image: str
) -> None:
    host = clean_host
    uuid = host.create(**payload(base_image, nics=[admin()]))
    mac = get(host, uuid)["nics"][0]["mac"]
    router = sh(host, uuid, "ip route show default").split()[2]
    # The router's own name server answers; a port that is blocked does not even refuse.
    dns = f"python3 -c \"import socket; socket.create_connection(('{router}', 53), 1)\""
    probe = f"{dns} 2>/dev/null && echo open || echo shut"
    assert sh(host, uuid, probe) == "open"
    update(host, uuid, update_nics=[{"mac": mac, "blocked_outgoing_ports": [25, 53]}])
    assert sh(host, uuid, probe) == "shut"
    assert reaches(host, uuid, router)
    update(host, uuid, update_nics=[{"mac": mac, "blocked_outgoing_ports": []}])
    assert sh(host, uuid, probe) == "open"
    wanted = router.rpartition(".")[0] + ".77"
    update(host, uuid, update_nics=[{"mac": mac, "ips": [f"{wanted}/22"]}], add_nics=[admin()])
    assert wanted not in sh(host, uuid, "ip -4 addr")
    host("vmadm", "reboot", uuid)
    said = sh(host, uuid, "ip -4 -o addr")
    assert wanted in said
    assert "net1" in said
    assert reaches(host, uuid, router)


def test_mtu_and_vrrp(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    first = host.create(**payload(base_image, nics=[admin(mtu=1400)]))
    assert "mtu 1400" in sh(host, first, "ip link show net0")
    small = {"nic_tag": "admin", "ips": ["10.250.0.5/24"], "mtu": 576}
    vrrp = {
        "nic_tag": "admin", "ips": ["10.250.1.6/24"],
        "vrrp_vrid": 9, "vrrp_primary_ip": "10.250.0.5",
    }  # fmt: skip
    uuid = host.create(**payload(base_image, nics=[small, vrrp]))
    assert "mtu 576" in sh(host, uuid, "ip link show net0")
    assert "00:00:5e:00:01:09" in sh(host, uuid, "ip link show net1")
    assert get(host, uuid)["nics"][1]["vrrp_vrid"] == 9


def test_hostname_resolvers_and_init_name(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    uuid = host.create(**payload(base_image, hostname="one", maintain_resolvers=True))
    update(host, uuid, hostname="two", resolvers=["192.0.2.53"])
    assert sh(host, uuid, "cat /etc/resolv.conf").endswith("nameserver 192.0.2.53")
    assert sh(host, uuid, "hostname") == "one"
    host("vmadm", "reboot", uuid)
    wait_for(lambda: sh(host, uuid, "hostname; cat /etc/hostname") == "two\ntwo")
    update(host, uuid, init_name="/bin/my-init")
    sh(host, uuid, "printf '#!/bin/sh\\nexec sleep 1000\\n' > /bin/my-init; chmod +x /bin/my-init")
    host("vmadm", "reboot", uuid, "-F")
    assert sh(host, uuid, "cat /proc/1/cmdline | tr '\\0' ' '").strip() == "sleep 1000"


def test_a_failed_provision_is_kept_and_says_why(clean_host: TestHost, base_image: str) -> None:
    host = clean_host
    import json

    wanted = payload(base_image, mdata_exec_timeout=1, nowait=False)
    wanted["customer_metadata"] = {"user-script": "#!/bin/sh\nsleep 60\n"}
    started = time.monotonic()
    said = refused(host, "vmadm", "create", stdin=json.dumps(wanted))
    assert "mdata_exec_timeout" in said
    assert time.monotonic() - started < 30
    (uuid,) = host("vmadm", "lookup", "state=failed").stdout.split()
    assert get(host, uuid)["zone_state"] == "installed"
    assert "mdata_exec_timeout" in get(host, uuid)["failed"]
    assert f"VM {uuid} failed to provision" in (host.root / "var/log/hulld.log").read_text()


def test_a_file_system_that_cannot_be_shown_says_so(clean_host: TestHost, base_image: str) -> None:
    entry = {"type": "lofs", "source": "/dev/pts", "target": "/pts"}
    wanted = json.dumps(payload(base_image, filesystems=[entry]))
    assert "cannot map ids" in refused(clean_host, "vmadm", "create", stdin=wanted)
    assert clean_host("vmadm", "lookup").stdout == ""
