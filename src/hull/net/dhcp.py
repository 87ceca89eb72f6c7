# SPDX-License-Identifier: MPL-2.0
"""DHCP, DNS and router advertisements on a network of this host's own, by dnsmasq.

Zones get their addresses from outside; this serves those that ask all the same (a DHCP client in an
lx zone, a guest of QEMU). It leases nothing but what Hull has allotted. dnsmasq outlives hulld.
"""

import pwd
import signal
from ipaddress import IPv4Address
from pathlib import Path

from hull.errors import HostError, Timeout
from hull.linux import cgroup, process
from hull.linux.files import write_file
from hull.linux.run import run
from hull.net.datalink import NicTag

LEASE = "12h"
RA_INTERVAL, RA_LIFETIME = 600, 1800  # seconds; who comes in between asks
STOP_TIMEOUT = 5.0

CONFIG = """\
# Made by Hull for nic tag {tag.name}; changes are lost.
pid-file={directory}/pid
log-facility={directory}/log
user={user}
interface={tag.link}
except-interface=lo
bind-dynamic
no-hosts
bogus-priv
domain-needed
quiet-dhcp
quiet-ra
leasefile-ro
"""


def directory(run_directory: Path, tag: str) -> Path:
    """Where a nic tag's server keeps its configuration, hosts and pid."""
    return run_directory / "net/dhcp" / tag


def config(tag: NicTag, directory: Path, user: str) -> str:
    """dnsmasq's configuration for one network."""
    text = CONFIG.format(tag=tag, directory=directory, user=user)
    if tag.address:
        network = tag.address.network
        text += f"dhcp-range={network.network_address},static,{network.netmask},{LEASE}\n"
        text += f"dhcp-authoritative\ndhcp-lease-max={network.num_addresses}\n"
        text += f"dhcp-hostsfile={directory}/hosts\n"
        text += f"dhcp-option=option:mtu,{tag.mtu}\n"
    if tag.address6:
        prefix = tag.address6.network
        text += f"enable-ra\ndhcp-range={prefix.network_address},ra-only,{prefix.prefixlen}\n"
        text += f"ra-param={tag.link},mtu:{tag.mtu},{RA_INTERVAL},{RA_LIFETIME}\n"
    return text


def start(tag: NicTag, directory: Path) -> None:
    """Have a server run with the present configuration; one that does so already is left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    hosts, conf = directory / "hosts", directory / "conf"
    if not hosts.exists():
        write_file(hosts, "", mode=0o644, durable=False)
    text = config(tag, directory, _user(directory))
    if _pid(directory) and conf.exists() and conf.read_text() == text:
        return
    stop(directory)
    write_file(conf, text, mode=0o644, durable=False)
    # It puts itself into the background as soon as it serves, and fails aloud if it cannot.
    run("dnsmasq", f"--conf-file={conf}")
    cgroup.leave_contract(_pid(directory))  # zones need it while hulld is away


def stop(directory: Path) -> None:
    """End the server; no error if none runs."""
    pid = _pid(directory)
    with process.opened(pid, process.start_time(pid)) as pidfd:
        if pidfd is None or not _pid(directory):
            return
        process.send_signal(pidfd, signal.SIGTERM)
        if not process.wait_end(pidfd, STOP_TIMEOUT):
            raise Timeout(f"dnsmasq (pid {pid}) did not end within {STOP_TIMEOUT} seconds")


def write_hosts(directory: Path, leases: dict[str, IPv4Address]) -> None:
    """Say which MAC gets which address, from now on."""
    directory.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{mac},{address}\n" for mac, address in leases.items())
    write_file(directory / "hosts", text, mode=0o644, durable=False)
    pid = _pid(directory)
    with process.opened(pid, process.start_time(pid)) as pidfd:
        if pidfd is not None and _pid(directory):
            process.send_signal(pidfd, signal.SIGHUP)  # read it again


def _pid(directory: Path) -> int:
    """The pid of the server with this directory's configuration, 0 if it does not run."""
    try:
        pid = int((directory / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return 0
    return pid if f"--conf-file={directory}/conf" in process.arguments(pid) else 0


def _user(directory: Path) -> str:
    """Whom dnsmasq becomes: its own user, unless that cannot reach the directory."""
    reachable = all(path.stat().st_mode & 0o001 for path in directory.parents)
    if not reachable:
        return "root"
    for name in ("dnsmasq", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise HostError("there is no user for dnsmasq", hint="install the package dnsmasq-base")
