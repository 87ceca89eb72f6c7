# SPDX-License-Identifier: MPL-2.0
"""VMs by the commands, on a real host: what a user's session looks like."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.integration.hosts import BIN, TestHost, wait_for

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_zones]

SEED = json.loads((Path(__file__).parents[2] / "examples/nsa-box.json").read_text())


def seed(image: str, **more: object) -> dict[str, object]:
    return {**SEED, "image_uuid": image, **more}


def test_the_seeds_zone_runs(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(**seed(base_image))
    assert clean_host("vmadm", "list").stdout.splitlines() == [
        "UUID                                  TYPE  RAM      STATE             ALIAS",
        f"{uuid}  OS    512      running           nsa-box",
    ]
    said = clean_host("zlogin", uuid, "hostname; cat /etc/resolv.conf; id -u").stdout.splitlines()
    assert said == ["mirror-customer-information", "search nsa.gov", "nameserver 8.8.8.8", "0"]
    address = clean_host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3]
    assert clean_host.in_netns("ping", "-c1", "-W2", address.partition("/")[0]).returncode == 0
    view = clean_host.json("vmadm", "get", uuid)
    assert view["state"] == "running"
    assert view["nics"][0]["ip"] == "dhcp"
    assert view["max_swap"] == 512


def test_an_lx_zone_boots_systemd_and_ssh(clean_host: TestHost, debian_image: str) -> None:
    uuid = clean_host.create(**seed(debian_image, brand="lx", alias="deb"))
    wait_for(
        lambda: (
            clean_host("zlogin", uuid, "systemctl", "is-system-running", check=False).stdout.strip()
            in ("running", "degraded")
        ),
        what="systemd up",
    )
    said = clean_host("zlogin", uuid, "systemctl --failed --no-legend; systemctl is-active ssh")
    assert said.stdout.split() == ["active"]
    address = clean_host("zlogin", uuid, "ip -4 -o addr show eth0").stdout.split()[3]
    banner = clean_host.in_netns(
        "timeout", "5", "bash", "-c", f"head -c 4 < /dev/tcp/{address.partition('/')[0]}/22"
    )
    assert banner.stdout == "SSH-"


def test_ssh_with_the_authorized_keys_of_the_metadata(
    clean_host: TestHost, base_image: str, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    uuid = clean_host.create(**seed(base_image, customer_metadata={"root_authorized_keys": public}))
    address = clean_host("zlogin", uuid, "ip -4 -o addr show net0").stdout.split()[3]
    done = clean_host.in_netns(
        "ssh", "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o",
        "UserKnownHostsFile=/dev/null", f"root@{address.partition('/')[0]}", "hostname",
    )  # fmt: skip
    assert done.stdout.strip() == "mirror-customer-information"


def test_metadata_and_user_script(clean_host: TestHost, base_image: str) -> None:
    script = '#!/bin/sh\nmdata-put said "$(mdata-get sdc:alias) $(mdata-get color)"\n'
    uuid = clean_host.create(
        **seed(base_image, customer_metadata={"user-script": script, "color": "blue"})
    )
    view = clean_host.json("vmadm", "get", uuid)
    assert view["customer_metadata"]["said"] == "nsa-box blue"
    assert set(clean_host("zlogin", uuid, "mdata-list").stdout.split()) == {
        "color",
        "said",
        "user-script",
    }
    assert (
        clean_host("zlogin", uuid, "mdata-delete color; mdata-get color", check=False).returncode
        == 1
    )
    clean_host("vmadm", "update", uuid, stdin=json.dumps({"set_customer_metadata": {"a": "1"}}))
    assert clean_host("zlogin", uuid, "mdata-get a").stdout == "1\n"


def test_stop_start_reboot(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(**seed(base_image))
    first = clean_host.json("vmadm", "get", uuid)["boot_timestamp"]
    assert clean_host("vmadm", "reboot", uuid).stderr.startswith("Successfully completed reboot")
    assert clean_host.json("vmadm", "get", uuid)["boot_timestamp"] != first
    assert clean_host("vmadm", "start", uuid).stderr.strip().endswith("is already 'running'")
    clean_host("vmadm", "stop", uuid)
    view = clean_host.json("vmadm", "get", uuid)
    assert (view["state"], view["zone_state"], view["autoboot"]) == ("stopped", "installed", False)
    assert "pid" not in view
    done = clean_host("vmadm", "stop", uuid)
    assert done.stderr.strip() == f"VM {uuid} is already not 'running' (currently: stopped)"
    clean_host("vmadm", "start", uuid)
    assert clean_host.json("vmadm", "get", uuid)["autoboot"] is True
    clean_host("vmadm", "delete", uuid)
    gone = clean_host("vmadm", "get", uuid, check=False)
    assert gone.returncode == 1
    assert gone.stderr.splitlines()[0].endswith(f"zoneadm: {uuid}: No such zone configured")


def test_a_zone_that_powers_off_or_reboots_itself(clean_host: TestHost, debian_image: str) -> None:
    uuid = clean_host.create(**seed(debian_image, brand="lx"))

    def state() -> dict[str, object]:
        return dict(clean_host.json("vmadm", "get", uuid))

    first = state()["boot_timestamp"]
    clean_host("zlogin", uuid, "systemctl reboot", check=False)
    wait_for(lambda: state().get("boot_timestamp", first) != first, what="boot again")
    wait_for(
        lambda: (
            clean_host("zlogin", uuid, "systemctl", "is-system-running", check=False).stdout.strip()
            == "running"
        )
    )
    clean_host("zlogin", uuid, "systemctl poweroff", check=False)
    wait_for(lambda: state()["state"] == "stopped", what="power off")
    assert state()["exit_status"] is not None


def test_zlogin_passes_status_and_streams(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(**seed(base_image))
    assert clean_host("zlogin", uuid, "exit 3", check=False).returncode == 3
    assert clean_host("zlogin", uuid, "true").returncode == 0
    done = clean_host("zlogin", uuid, "cat; echo oops >&2", stdin="through\n")
    assert (done.stdout, done.stderr) == ("through\n", "oops\n")
    assert clean_host("zlogin", "nsa-box", "whoami").stdout == "root\n"
    assert clean_host("zlogin", "-l", "nobody", uuid, "true", check=False).returncode != 0
    assert clean_host("zlogin", uuid, "head -c 3000000 /dev/zero | wc -c").stdout == "3000000\n"
    unknown = clean_host("zlogin", "nobody-there", "true", check=False)
    assert unknown.returncode == 1
    assert "unknown" in unknown.stderr


def tmux(host: TestHost, session: str, *argv: str) -> None:
    env = os.environ | {"HULL_ROOT": str(host.root), "TERM": "xterm"}
    subprocess.run(
        ["tmux", "-L", session, "-f", "/dev/null", "new", "-d", "-x", "91", "-y", "37", *argv],
        env=env, check=True,
    )  # fmt: skip


def screen(session: str) -> str:
    return subprocess.run(
        ["tmux", "-L", session, "capture-pane", "-p"], capture_output=True, text=True, check=False
    ).stdout


def keys(session: str, *words: str) -> None:
    subprocess.run(["tmux", "-L", session, "send-keys", *words], check=True)


def test_interactive_zlogin_has_a_terminal_of_its_size(
    clean_host: TestHost, base_image: str
) -> None:
    uuid = clean_host.create(**seed(base_image))
    session = f"hull-{os.getpid()}-login"
    tmux(clean_host, session, str(BIN / "zlogin"), uuid)
    try:
        wait_for(lambda: "#" in screen(session), what="a prompt")
        keys(session, "stty size; tty; echo $((40+2))", "Enter")
        wait_for(lambda: "37 91" in screen(session) and "\n42" in screen(session), what="the size")
        assert "/dev/pts/" in screen(session)
        keys(session, "exit", "Enter")
        wait_for(lambda: not screen(session), what="the end of the session")
    finally:
        subprocess.run(["tmux", "-L", session, "kill-server"], check=False, capture_output=True)


def test_the_console_shows_the_boot_and_is_left_by_its_escape(
    clean_host: TestHost, debian_image: str
) -> None:
    uuid = clean_host.create(**seed(debian_image, brand="lx"))
    session = f"hull-{os.getpid()}-console"
    tmux(clean_host, session, "sh", "-c", f"{BIN}/vmadm console {uuid}; echo left $?; sleep 60")
    try:
        wait_for(lambda: "Connected to zone" in screen(session), what="the console")
        clean_host("zlogin", uuid, "echo hello from inside > /dev/console")
        wait_for(lambda: "hello from inside" in screen(session), what="console output")
        keys(session, "C-]")
        wait_for(lambda: "left 0" in screen(session), what="leaving")
    finally:
        subprocess.run(["tmux", "-L", session, "kill-server"], check=False, capture_output=True)


def test_snapshots(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(**seed(base_image))
    clean_host("zlogin", uuid, "echo before > /root/file")
    clean_host("vmadm", "create-snapshot", uuid, "one")
    clean_host("zlogin", uuid, "echo after > /root/file")
    clean_host("vmadm", "rollback-snapshot", uuid, "one")
    assert clean_host("zlogin", uuid, "cat /root/file").stdout == "before\n"
    view = clean_host.json("vmadm", "get", uuid)
    assert [snapshot["name"] for snapshot in view["snapshots"]] == ["one"]
    twice = clean_host("vmadm", "create-snapshot", uuid, "one", check=False)
    assert 'snapshot with name "one" already exists' in twice.stderr
    clean_host("vmadm", "delete-snapshot", uuid, "one")
    assert clean_host.json("vmadm", "get", uuid)["snapshots"] == []
    none = clean_host("vmadm", "delete-snapshot", uuid, "one", check=False)
    assert (none.returncode, 'No snapshot named "one"' in none.stderr) == (1, True)


def test_quota_is_live_and_enforced(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(**seed(base_image, quota=1))
    write = "dd if=/dev/urandom of=/root/big bs=1M count=1100 2>&1; true"
    assert "exceeded" in clean_host("zlogin", uuid, write).stdout
    clean_host("vmadm", "update", uuid, "quota=2")
    assert "exceeded" not in clean_host("zlogin", uuid, write).stdout


def test_limits_hold_and_change_live(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(
        **seed(base_image, max_lwps=100, max_physical_memory=256, max_swap=256)
    )
    hog = "python3 -c \"x=bytearray(300<<20); x[::4096]=b'1'*len(x[::4096])\""
    assert clean_host("zlogin", uuid, hog, check=False).returncode != 0
    clean_host("vmadm", "update", uuid, "max_physical_memory=1024")
    assert clean_host("zlogin", uuid, hog, check=False).returncode == 0
    bomb = "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done 2>&1 | head -c 300"
    assert "Cannot fork" in clean_host("zlogin", uuid, bomb, check=False).stdout


def test_three_mistakes_are_all_named_and_nothing_changes(
    clean_host: TestHost, base_image: str
) -> None:
    before = clean_host.json("vmadm", "lookup", "-j"), sorted(os.listdir(clean_host.root / "zones"))
    payload = seed(
        base_image, quota="much", max_fysical_memory=1, nics=[{"nic_tag": "admin", "ip": "10.0.0"}]
    )
    done = clean_host("vmadm", "create", stdin=json.dumps(payload), check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert any("quota:" in line for line in lines)
    assert any("max_fysical_memory" in line and "max_physical_memory" in line for line in lines)
    assert any("nics[0].ip" in line for line in lines)
    after = clean_host.json("vmadm", "lookup", "-j"), sorted(os.listdir(clean_host.root / "zones"))
    assert after == before


def test_host_dependent_mistakes_are_all_named(clean_host: TestHost, base_image: str) -> None:
    del base_image
    payload = seed(
        "00000000-0000-4000-8000-000000000000", nics=[{"nic_tag": "external", "ip": "dhcp"}]
    )
    done = clean_host("vmadm", "create", stdin=json.dumps(payload), check=False)
    assert done.returncode == 1
    assert "imgadm import 00000000-0000-4000-8000-000000000000" in done.stderr
    assert 'nics[0].nic_tag: Invalid nic tag "external" (nic tags here: admin)' in done.stderr


def links(host: TestHost) -> list[str]:
    return [line.split(":")[1] for line in host.in_netns("ip", "-o", "link").stdout.splitlines()]


def test_a_create_that_fails_in_the_middle_undoes_itself(
    clean_host: TestHost, base_image: str
) -> None:
    """The zone's init does not exist: crun fails when everything else is made."""
    before = links(clean_host)
    began = time.monotonic()
    done = clean_host(
        "vmadm",
        "create",
        stdin=json.dumps(seed(base_image, init_name="/no/such/init")),
        check=False,
    )
    assert done.returncode == 1
    assert time.monotonic() - began < 10
    assert "/no/such/init" in done.stderr
    assert clean_host("vmadm", "lookup").stdout == ""
    assert links(clean_host) == before
    assert not list((clean_host.root / "run/hull/zones").iterdir())


def test_bad_json_and_typos(clean_host: TestHost) -> None:
    bad = clean_host("vmadm", "create", stdin="{nope", check=False)
    assert (bad.returncode, "Invalid JSON payload" in bad.stderr) == (1, True)
    missing = clean_host("vmadm", "create", "-f", "/no/file", check=False)
    assert (missing.returncode, "File: /no/file does not exist." in missing.stderr) == (1, True)
    typo = clean_host("vmadm", "lst", check=False)
    assert (typo.returncode, "`list`" in typo.stderr) == (2, True)
    uuid = clean_host("vmadm", "start", "web", check=False)
    assert (uuid.returncode, "Invalid or missing UUID" in uuid.stderr) == (2, True)
    assert "Traceback" not in bad.stderr + missing.stderr + typo.stderr + uuid.stderr


def test_static_addresses_several_nics_and_ipv6(clean_host: TestHost, base_image: str) -> None:
    tag = clean_host.json("hull", "status", "-j")["nic_tags"][0]
    base = tag["address"].rsplit(".", 1)[0]
    nics = [
        {"nic_tag": "admin", "ip": f"{base}.200", "netmask": "255.255.252.0", "primary": True,
         "gateway": f"{base}.1", "ips": [f"{base}.200/22", "fd00:1::5/64"]},
        {"nic_tag": "admin", "ips": ["addrconf"]},
    ]  # fmt: skip
    uuid = clean_host.create(**seed(base_image, nics=nics))
    shown = clean_host("zlogin", uuid, "ip -o addr; ip route").stdout
    assert f"{base}.200/22" in shown
    assert "fd00:1::5/64" in shown
    assert f"default via {base}.1 dev net0" in shown
    wait_for(
        lambda: "dynamic" in clean_host("zlogin", uuid, "ip -6 -o addr show net1").stdout,
        what="an address by router advertisement",
    )
    assert clean_host.in_netns("ping", "-c1", "-W2", f"{base}.200").returncode == 0
    other = clean_host(
        "vmadm", "create", stdin=json.dumps(seed(base_image, nics=nics)), check=False
    )
    assert f"{base}.200 belongs to VM {uuid}" in other.stderr


def test_a_zone_cannot_speak_with_anothers_address(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(**seed(base_image))
    router = clean_host("zlogin", uuid, "ip route").stdout.split()[2]
    assert clean_host("zlogin", uuid, f"ping -c1 -W1 {router}").returncode == 0
    stolen = router.rsplit(".", 1)[0] + ".250"
    clean_host("zlogin", uuid, f"ip addr add {stolen}/22 dev net0")
    refused = clean_host("zlogin", uuid, f"ping -c1 -W1 -I {stolen} {router}", check=False)
    assert refused.returncode != 0


def test_update_and_validate(clean_host: TestHost, base_image: str) -> None:
    uuid = clean_host.create(**seed(base_image))
    clean_host("vmadm", "update", uuid, "alias=web", "cpu_cap=50")
    view = clean_host.json("vmadm", "get", uuid)
    assert (view["alias"], view["cpu_cap"]) == ("web", 50)
    update = {"set_tags": {"role": "db"}, "add_nics": [{"nic_tag": "admin", "ip": "dhcp"}]}
    clean_host("vmadm", "update", uuid, stdin=json.dumps(update))
    view = clean_host.json("vmadm", "get", uuid)
    assert view["tags"] == {"role": "db"}
    assert [nic["interface"] for nic in view["nics"]] == ["net0", "net1"]
    clean_host("vmadm", "reboot", uuid)
    assert "net1" in clean_host("zlogin", uuid, "ip -o -4 addr").stdout
    bad = clean_host("vmadm", "update", uuid, "quota=-1", check=False)
    assert (bad.returncode, "quota" in bad.stderr) == (1, True)
    good = clean_host("vmadm", "validate", "create", stdin=json.dumps(SEED))
    assert good.stderr.strip() == "VALID 'create' payload for joyent brand VMs."
    wrong = clean_host(
        "vmadm", "validate", "create", stdin='{"brand": "joyent", "ram": "x"}', check=False
    )
    assert wrong.returncode == 1
    assert json.loads(wrong.stderr) == {
        "bad_values": ["ram"],
        "bad_properties": [],
        "missing_properties": ["image_uuid"],
    }
    odd = clean_host("vmadm", "update", uuid, "vcpus=2", "qota=5", "alias=db")
    assert odd.stderr.splitlines() == [
        "vmadm update: warning: vcpus: not for VMs of brand joyent (ignored; only for kvm, bhyve)",
        "vmadm update: warning: qota: unknown property (did you mean `quota`?)",
        f"Successfully updated VM {uuid}",
    ]
    assert clean_host.json("vmadm", "get", uuid)["alias"] == "db"


def test_list_lookup_and_zoneadm(clean_host: TestHost, base_image: str) -> None:
    one = clean_host.create(**seed(base_image, alias="one", max_physical_memory=256, max_swap=256))
    two = clean_host.create(**seed(base_image, alias="two", autoboot=False))
    assert clean_host("vmadm", "list", "-p", "-o", "alias,state").stdout.split() == [
        "one:running", "two:stopped",
    ]  # fmt: skip
    assert clean_host("vmadm", "list", "-H", "alias=~^T").stdout.split()[0] == two
    assert clean_host("vmadm", "lookup", "-1", "alias=one").stdout.strip() == one
    assert clean_host("vmadm", "lookup", "-1", check=False).returncode == 1
    found = clean_host.json("vmadm", "lookup", "-j", "-o", "uuid", "state=stopped")
    assert found == [{"uuid": two}]
    assert "Invalid filter key" in clean_host("vmadm", "list", "foo=1", check=False).stderr
    assert clean_host("zoneadm", "list").stdout.split() == ["global", one]
    table = clean_host("zoneadm", "list", "-cv").stdout.splitlines()
    assert table[0].split() == ["ID", "NAME", "STATUS", "PATH", "BRAND", "IP"]
    assert (
        table[1]
        == "   0 global           running    /                              liveimg  shared"
    )
    fields = clean_host("zoneadm", "list", "-pc").stdout.splitlines()[1].split(":")
    assert len(fields) == 8


def test_events(clean_host: TestHost, base_image: str) -> None:
    follow = subprocess.Popen(
        [str(BIN / "vmadm"), "events", "-r", "-f"],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"HULL_ROOT": str(clean_host.root)},
    )  # fmt: skip
    lines: list[str] = []
    assert follow.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(follow.stdout or ()), daemon=True)
    reader.start()
    try:
        wait_for(lambda: any("ready" in line for line in lines), what="ready")
        uuid = clean_host.create(**seed(base_image))
        clean_host("vmadm", "delete", uuid)
        wait_for(lambda: any(f"{uuid} nsa-box delete" in line for line in lines), what="delete")
    finally:
        follow.send_signal(signal.SIGINT)
        follow.wait(10)
        reader.join(10)
        follow.stdout.close()
    text = "".join(lines)
    assert f"{uuid} nsa-box create" in text
    assert 'state changed :: "provisioning" -> "running"' in text
