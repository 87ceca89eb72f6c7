# SPDX-License-Identifier: MPL-2.0
"""What brands make of a zone."""

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hull.brand import oci, seccomp
from hull.brand.brand import Bind, ZoneConfig, exit_meaning
from hull.brand.privilege import CAPABILITIES
from hull.brand.table import BRANDS
from hull.zone.runtime import ExitStatus

CONFIG = ZoneConfig(
    uuid="f3f0c0de-0000-4000-8000-000000000001",
    hostname="box",
    metadata=Path("/run/metadata"),
    native=Path("/native-tree"),
)


def bundle(brand: str, config: ZoneConfig = CONFIG) -> Any:
    made = BRANDS[brand].bundle(config)
    assert json.loads(json.dumps(made)) == made
    return made


def mounts(made: Any) -> dict[str, Any]:
    return {mount["destination"]: mount for mount in made["mounts"]}


@pytest.fixture(params=sorted(BRANDS))
def brand(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_brands_know_their_names(brand: str) -> None:
    assert BRANDS[brand].name == brand


def test_who_makes_cgroups_of_its_own() -> None:
    natives = {"joyent", "joyent-minimal", "builder"}  # SMF; and systemd
    assert {name for name, brand in BRANDS.items() if brand.own_cgroups} == {"lx", *natives}
    assert BRANDS["lx"].stop_signal == signal.SIGRTMIN + 4
    assert BRANDS["joyent"].stop_signal == signal.SIGTERM


def test_init(brand: str) -> None:
    assert bundle(brand)["process"]["args"] == ["/sbin/init"]
    assert bundle(brand, replace(CONFIG, init="/my/init"))["process"]["args"] == ["/my/init"]
    told = bundle(brand, replace(CONFIG, boot_args="-m verbose"))["process"]["env"]
    assert set(told) - set(bundle(brand)["process"]["env"]) == {"bootargs=-m verbose"}


def test_a_zone_shares_no_namespace(brand: str) -> None:
    linux = bundle(brand)["linux"]
    kinds = {namespace["type"] for namespace in linux["namespaces"]}
    assert kinds == {"user", "pid", "network", "mount", "ipc", "uts", "cgroup"}
    assert not any("path" in namespace for namespace in linux["namespaces"])


def test_privileges_are_bounded(brand: str) -> None:
    process = bundle(brand)["process"]
    sets = process["capabilities"]
    assert set(sets) == {"bounding", "effective", "permitted"}
    assert tuple(sets["bounding"]) == tuple(CAPABILITIES)
    never = {"MODULE", "RAWIO", "TIME", "RESOURCE", "PACCT"}
    assert not never & {name.removeprefix("CAP_SYS_") for name in sets["bounding"]}
    assert not {"CAP_MKNOD", "CAP_SYSLOG", "CAP_BPF", "CAP_PERFMON"} & set(sets["bounding"])
    assert process["noNewPrivileges"] is False


def test_tmp_is_in_memory_if_wished(brand: str) -> None:
    assert "/tmp" not in mounts(bundle(brand))
    tmp = mounts(bundle(brand, replace(CONFIG, tmpfs=5 << 20)))["/tmp"]
    assert tmp["type"] == "tmpfs"
    assert {"size=5242880", "mode=1777", "nosuid", "nodev"} <= set(tmp["options"])


def test_the_hosts_directories_are_read_only(brand: str) -> None:
    found = mounts(bundle(brand))
    for target, source in (("/.zonecontrol", "/run/metadata"), ("/native", "/native-tree")):
        assert found[target]["source"] == source
        assert {"ro", "nosuid", "nodev"} <= set(found[target]["options"])
        assert "idmap" not in found[target]["options"]


def test_a_file_system_of_the_hosts(brand: str) -> None:
    shared = Bind(source=Path("/data"), target="/mnt", options=("nosuid",))
    found = mounts(bundle(brand, replace(CONFIG, filesystems=(shared,))))["/mnt"]
    assert found["source"] == "/data"
    assert {"nodev", "nosuid", "idmap"} <= set(found["options"])
    assert "ro" not in found["options"]


def test_nothing_covers_a_bind(brand: str) -> None:
    kinds = [mount["type"] for mount in bundle(brand)["mounts"]]
    assert kinds[kinds.index("bind") :] == ["bind"] * kinds.count("bind")


def test_kernel_file_systems(brand: str) -> None:
    found = mounts(bundle(brand))
    assert "ro" in found["/sys"]["options"]
    assert {"newinstance", "ptmxmode=0666", f"max={oci.MAX_PTYS}"} <= set(
        found["/dev/pts"]["options"]
    )
    assert ("/sys/fs/cgroup" in found) == BRANDS[brand].own_cgroups
    masked = bundle(brand)["linux"]["maskedPaths"]
    assert {"/proc/kcore", "/proc/sysrq-trigger", "/sys/firmware"} <= set(masked)
    assert "/proc/sys" in bundle(brand)["linux"]["readonlyPaths"]


def test_locked_memory_is_bounded(brand: str) -> None:
    made = bundle(brand, replace(CONFIG, max_locked_memory=7 << 20))
    limits = {limit["type"]: (limit["soft"], limit["hard"]) for limit in made["process"]["rlimits"]}
    assert limits["RLIMIT_MEMLOCK"] == (7 << 20, 7 << 20)
    assert limits["RLIMIT_RTPRIO"] == (0, 0)


def test_the_container_is_told_who_it_is(brand: str) -> None:
    environment = bundle(brand)["process"]["env"]
    assert "container=hull" in environment
    assert f"container_uuid={CONFIG.uuid}" in environment


def test_seccomp_denies_and_lets_the_rest_through() -> None:
    profile: Any = seccomp.profile()
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    rules = profile["syscalls"]
    assert all(rule["action"] == "SCMP_ACT_ERRNO" and rule["errnoRet"] > 0 for rule in rules)
    plain = {name for rule in rules if "args" not in rule for name in rule["names"]}
    assert {"kexec_load", "bpf", "keyctl", "open_by_handle_at", "clone3", "io_uring_setup"} <= plain
    # What systems need; denying one of these without arguments would break every zone.
    assert not {"clone", "unshare", "socket", "mount", "ptrace", "reboot", "setns"} & plain
    assert len(seccomp.DENIED) == len(set(seccomp.DENIED))


def rules_with(index: int, names: list[str]) -> Iterator[tuple[str, int, int]]:
    """The conditions on one argument, of the rules for these calls."""
    profile: Any = seccomp.profile()
    for rule in profile["syscalls"]:
        for arg in rule.get("args", []):
            if rule["names"] == names and arg["index"] == index:
                yield arg["op"], arg["value"], arg.get("valueTwo", 0)


def test_families_are_denied_by_number() -> None:
    found = list(rules_with(0, ["socket", "socketpair"]))
    assert ("SCMP_CMP_GT", 17, 0) in found
    refused = {family for op, _, family in found if op == "SCMP_CMP_MASKED_EQ"}
    assert not refused & {1, 2, 10, 16, 17}
    assert refused | {1, 2, 10, 16, 17} == set(range(1, 18))


def test_what_the_kernel_does_not_look_at_is_not_compared() -> None:
    profile: Any = seccomp.profile()
    for rule in profile["syscalls"]:
        for arg in rule.get("args", []):
            assert arg["op"] in ("SCMP_CMP_MASKED_EQ", "SCMP_CMP_GT")
            assert arg["value"] <= 0xFFFFFFFF


def test_netlink_is_routing_diagnosis_netfilter_and_little_else() -> None:
    found = list(rules_with(2, ["socket"]))
    assert ("SCMP_CMP_GT", 16, 0) in found
    refused = {protocol for op, _, protocol in found if op == "SCMP_CMP_MASKED_EQ"}
    assert set(range(17)) - refused == {0, 2, 4, 5, 6, 12, 15, 16}


@pytest.mark.parametrize(
    ("code", "meaning"), [(-1, "reboot"), (-2, "halt"), (0, ""), (1, ""), (-9, ""), (2, "")]
)
def test_exit_meaning(code: int, meaning: str) -> None:
    assert exit_meaning(ExitStatus(code=code, when=0.0)) == meaning
