# SPDX-License-Identifier: MPL-2.0
"""/usbkey/config: the host's own settings, shell-style KEY=VALUE lines, in SmartOS's words."""

import uuid
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface

from hull.errors import Corrupt
from hull.linux import files
from hull.net import nictag
from hull.net.datalink import NicTag
from hull.paths import Paths

HEADER = (
    "# This host's configuration. admin_ip is its own address on nic tag admin, where it\n"
    "# leases addresses to zones and translates theirs on the way out.\n"
)


def read(paths: Paths) -> dict[str, str]:
    """The settings; an absent file has none."""
    try:
        text = (paths.usbkey / "config").read_text()
    except FileNotFoundError:
        return {}
    return parse(text)


def parse(text: str) -> dict[str, str]:
    """Lines without `=` and comments say nothing; quotes around a value are taken off."""
    settings: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            settings[name.strip()] = value.strip().strip("\"'")
    return settings


def write_first(paths: Paths) -> None:
    """Give a new pool its settings: a private network of its own for each host on a machine."""
    if (paths.usbkey / "config").exists():
        return
    admin = nictag.admin(paths.host_id)
    assert admin.address is not None
    settings = {
        "server_uuid": str(uuid.uuid4()),
        "admin_ip": str(admin.address.ip),
        "admin_netmask": str(admin.address.netmask),
        "admin_ip6": str(admin.address6),
    }
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    files.write_file(paths.usbkey / "config", HEADER + "".join(lines))


def admin_tag(settings: dict[str, str], host_id: str) -> NicTag:
    """Nic tag admin as this host serves it. Raises Corrupt if the file does not say how."""
    try:
        return replace(
            nictag.admin(host_id),
            address=IPv4Interface(f"{settings['admin_ip']}/{settings['admin_netmask']}"),
            address6=IPv6Interface(settings["admin_ip6"]),
        )
    except (KeyError, ValueError) as exc:
        raise Corrupt(
            f"/usbkey/config: {exc}", hint="set admin_ip, admin_netmask and admin_ip6"
        ) from exc
