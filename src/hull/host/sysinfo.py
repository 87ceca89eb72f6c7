# SPDX-License-Identifier: MPL-2.0
"""sysinfo: what this host is made of, in SmartOS's words and order.

`parse_*` are pure; `collect` reads /proc, /sys and the ports. What the machine does not say (a
virtual one often has no DMI) is an empty text.
"""

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from hull.host import config
from hull.host.host import Host
from hull.linux import files
from hull.linux.netlink import LinkInfo, Netlink
from hull.wire import Json, JsonObject

GB = 1000**3
GIB = 1 << 30
DMI = (
    ("Manufacturer", "sys_vendor"),
    ("Product", "product_name"),
    ("Serial Number", "product_serial"),
    ("SKU Number", "product_sku"),
    ("HW Version", "product_version"),
    ("HW Family", "product_family"),
)
# No disks: what the kernel makes of files and memory, optical drives, and layers above disks.
NOT_A_DISK = re.compile(r"(loop|ram|zram|sr|fd|nbd|dm-|md)\d*")
ADMIN = "admin"


def sysinfo(host: Host, *, refresh: bool) -> JsonObject:
    """`{"sysinfo": {…}, "parsable": "KEY=VALUE\\n…"}`, from the cache if that is there."""
    cache, parsable_cache = host.paths.run / ".sysinfo.json", host.paths.run / ".sysinfo.parsable"
    if refresh or not (cache.exists() and parsable_cache.exists()):
        known = collect(host)
        links = {tag.name: tag.link for tag in host.datalinks.nic_tags().values()}
        files.write_json(cache, known, durable=False)
        files.write_file(parsable_cache, parsable(known, links), durable=False)
    return {"sysinfo": files.read_json(cache), "parsable": parsable_cache.read_text()}


def collect(host: Host) -> JsonObject:
    """Everything, found out now."""
    settings = config.read(host.paths)
    cpus = parse_cpuinfo(Path("/proc/cpuinfo").read_text())
    found: JsonObject = {
        "Live Image": host.platform,
        "System Type": os.uname().sysname,
        "Boot Time": parse_boot_time(Path("/proc/stat").read_text()),
    }
    if name := settings.get("datacenter_name"):
        found["Datacenter Name"] = name
    found |= {key: _line(Path("/sys/class/dmi/id") / name) for key, name in DMI}
    return (
        found
        | {"Setup": "true"}
        | _virtualization(cpus)
        | {
            "Admin NIC Tag": ADMIN,
            "Admin IP": settings.get("admin_ip", ""),
            "UUID": host.server_uuid,
            "Hostname": os.uname().nodename,
        }
        | _cpu_counts(cpus)
        | {"MiB of Memory": parse_memory(Path("/proc/meminfo").read_text())}
        | _zpool(host)
        | {
            "Disks": _disks(Path("/sys/block")),
            "Boot Parameters": parse_boot_parameters(Path("/proc/cmdline").read_text()),
            "Psrinfo": {cpu["processor"]: "on-line" for cpu in cpus},
        }
        | _network(host)
    )


def parse_boot_time(stat: str) -> str:
    """Seconds since the epoch, of /proc/stat."""
    found = re.search(r"^btime (\d+)$", stat, re.MULTILINE)
    return found[1] if found else ""


def parse_memory(meminfo: str) -> str:
    """MiB, of /proc/meminfo: a text, as on SmartOS."""
    found = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return str(int(found[1]) // 1024) if found else ""


def parse_cpuinfo(text: str) -> list[dict[str, str]]:
    """A CPU is a paragraph of `name : value`."""
    cpus = []
    for paragraph in text.strip().split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines())
        cpus.append({name.strip(): value.strip() for name, _, value in pairs})
    return [cpu for cpu in cpus if "processor" in cpu]


def parse_boot_parameters(cmdline: str) -> JsonObject:
    """The kernel's command line; a flag without a value is `true`. Those after `--` are init's."""
    words = cmdline.split(" -- ")[0].split()
    pairs = (word.partition("=") for word in words)
    return {name: value if equals else "true" for name, equals, value in pairs}


def parsable(known: JsonObject, links: Mapping[str, str]) -> str:
    """KEY=VALUE lines that a shell can evaluate; spaces in names are `_`. `links` are nic tags'."""
    lines: list[str] = []
    for key, value in known.items():
        match key, value:
            case "Boot Parameters", dict():
                lines += _flat("Bootparam", value)
            case "Disks", dict():
                lines += _flat("Disk", value)
            case _:
                lines += _flat(key, value)
    lines += [f"NIC_{tag}={shlex.quote(link)}" for tag, link in links.items()]
    return "".join(f"{line}\n" for line in lines)


def _flat(name: str, value: Json) -> list[str]:
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _flat(f"{name} {key}", inner)]
    if isinstance(value, list):
        value = ",".join(str(each) for each in value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return [f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}={shlex.quote(text)}"]


def _line(path: Path) -> str:
    """The one line of a file in /sys; "" if the machine has no such thing."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _virtualization(cpus: list[dict[str, str]]) -> JsonObject:
    flags = set(cpus[0].get("flags", "").split()) if cpus else set()
    kind = next((flag for flag in ("vmx", "svm") if flag in flags), "none")
    return {
        "VM Capable": Path("/dev/kvm").exists(),
        # bhyve is illumos's; what its VMs need here is KVM too.
        "Bhyve Capable": False,
        "Bhyve Max Vcpus": 0,
        "HVM API": False,
        "CPU Type": cpus[0].get("model name", "") if cpus else "",
        "CPU Virtualization": kind,
        "CPU Physical Cores": _sockets(cpus),
    }


def _sockets(cpus: list[dict[str, str]]) -> int:
    return len({cpu.get("physical id", "0") for cpu in cpus})


def _cpu_counts(cpus: list[dict[str, str]]) -> JsonObject:
    cores = {(cpu.get("physical id", "0"), cpu.get("core id", cpu["processor"])) for cpu in cpus}
    return {
        "CPU Total Cores": len(cpus),
        "CPU Socket Count": _sockets(cpus),
        "CPU Core Count": len(cores),
        "CPU Online Count": len(cpus),
        "CPU Count": os.cpu_count() or len(cpus),
    }


def _zpool(host: Host) -> JsonObject:
    pool = host.health.status()
    created = (host.paths.usbkey / "config").stat().st_mtime  # written when the pool was made
    return {
        "Zpool": pool.name,
        "Zpool Encrypted": False,
        "Zpool Disks": ",".join(Path(device).name for device in pool.devices),
        "Zpool Profile": "striped" if len(pool.devices) > 1 else "single",
        "Zpool Creation": int(created),
        "Zpool Size in GiB": pool.size // GIB,
        "Zpool Recovery": {},
    }


def _disks(directory: Path) -> JsonObject:
    """What /sys/block says, in sectors of 512 bytes whatever the disk's own are."""
    found: JsonObject = {}
    for path in sorted(directory.glob("*")):
        sectors = _line(path / "size")
        if not NOT_A_DISK.fullmatch(path.name) and sectors.isdigit() and int(sectors):
            found[path.name] = {"Size in GB": int(sectors) * 512 // GB}
    return found


def _network(host: Host) -> JsonObject:
    with Netlink() as here:
        links = here.links()
        addresses = {
            index: str(address.ip) for index, address in here.addresses() if address.version == 4
        }
    tags: dict[str, list[Json]] = {}
    for tag in host.datalinks.nic_tags().values():
        tags.setdefault(tag.link, []).append(tag.name)
    physical: JsonObject = {}
    virtual: JsonObject = {}
    aggregations: JsonObject = {}
    for link in links:
        about = _nic(link, addresses.get(link.index, ""))
        if link.kind == "bond":
            aggregations[link.name] = _aggregation(Path("/sys/class/net") / link.name / "bonding")
        elif not link.kind and link.mac not in ("", "00:00:00:00:00:00"):  # hardware
            physical[link.name] = about | {"NIC Names": tags.get(link.name, [])}
        elif link.name in tags:
            virtual[link.name] = about | {"Host Interface": link.name, "VLAN": "0"}
    return {
        "Network Interfaces": physical,
        "Virtual Network Interfaces": virtual,
        "Link Aggregations": aggregations,
    }


def _aggregation(bonding: Path) -> JsonObject:
    lacp = "802.3ad" in _line(bonding / "mode")
    return {
        "LACP mode": "active" if lacp else "off",
        "Interfaces": list[Json](_line(bonding / "slaves").split()),
    }


def _nic(link: LinkInfo, address: str) -> JsonObject:
    return {
        "MAC Address": link.mac,
        "ip4addr": address,
        "Link Status": "up" if link.up else "down",
    }
