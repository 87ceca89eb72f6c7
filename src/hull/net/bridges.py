# SPDX-License-Identifier: MPL-2.0
"""The bridges of a nic tag: the kernel gives one 1,023 ports, a tag has as many as its vnics need.

The first has the tag's link name and the host's addresses. Each further one is joined to it by a
veth pair whose ends learn, flood and carry every VLAN, like a cable between two switches: for those
each keeps some ports. What vnics may send is decided where they are plugged in, so that joins need
no protection.
"""

from collections.abc import Iterator
from errno import EOPNOTSUPP
from zlib import crc32

from hull.errors import HostError, KernelError
from hull.linux import netlink, sysctl
from hull.linux.netlink import LinkInfo, Netlink
from hull.linux.netns import opened
from hull.net.datalink import NicTag
from hull.net.nictag import stable_mac

NO_IPV6 = {"disable_ipv6": "1"}  # addresses of its own would only add to the noise
MOST = 64  # bridges of one tag
MOST_VNICS = 1023 - MOST  # ports of one bridge that are not for joins


def further(tag: NicTag, prefix: str, number: int) -> tuple[str, str, str]:
    """The names of the tag's bridge `number`, from 1 on, and of both ends of its join. Pure."""
    rest = f"{number}.{crc32(tag.link.encode()) & 0xFFFFF:05x}"
    host = prefix[1:]
    return f"{prefix}+{rest}", f"i{host}+{rest}", f"j{host}+{rest}"


def is_join(name: str, prefix: str) -> bool:
    """Whether a link is the end of a join of this host's."""
    return name[:1] in "ij" and name[1:].startswith(f"{prefix[1:]}+")


def of_tag(found: list[LinkInfo], tag: NicTag) -> set[int]:
    """The indexes of a tag's bridges among all links."""
    return {
        link.index
        for link in found
        if link.kind == "bridge" and tag.link in (link.name, link.alias)
    }


def with_room(host: Netlink, tag: NicTag, prefix: str) -> Iterator[LinkInfo]:
    """The tag's bridges, the first one first, then new ones: who asks has found one `crowded`.

    Raises HostError.
    """
    yield first(host, tag)
    for number in range(1, MOST):
        name, near, far = further(tag, prefix, number)
        bridge = host.link(name)
        if bridge is None or host.link(far) is None:
            make(host, tag, name)
            _join(host, tag, name, near, far)
            bridge = host.link(name)
        assert bridge
        yield bridge
    raise HostError(f"nic tag {tag.name} has {MOST} bridges, and all are full")


def crowded(host: Netlink, vnic: str) -> bool:
    """Whether a vnic got one of the ports that are for joins."""
    port = host.link(vnic)
    return port is not None and port.port > MOST_VNICS


def make(host: Netlink, tag: NicTag, name: str) -> None:
    """A bridge of the tag's; one that is there stays."""
    if host.link(name) is None:
        # It is given its MTU later: one that it is only made with follows the least of its ports'.
        host.batch(netlink.create_bridge(name, mac=stable_mac(name), mtu=tag.mtu - 1))
    try:
        host.batch(netlink.keep_vlans_apart(name))
    except KernelError as exc:
        if exc.errno != EOPNOTSUPP:
            raise
    if name != tag.link:
        sysctl.set_ipv6(name, NO_IPV6)
    host.batch(netlink.set_link(name, up=True, mtu=tag.mtu, alias=tag.link))


def first(host: Netlink, tag: NicTag) -> LinkInfo:
    """Raises HostError if the host is not up."""
    bridge = host.link(tag.link)
    if bridge is None:
        raise HostError(
            f"nic tag {tag.name} has no link {tag.link}", hint="bring the host up with `hull up`"
        )
    return bridge


def _join(host: Netlink, tag: NicTag, name: str, near: str, far: str) -> None:
    one, other = first(host, tag), host.link(name)
    assert other
    if host.link(near):
        host.batch(netlink.delete_link(near))
    with opened("/proc/thread-self/ns/net") as here:
        mac = stable_mac(far)
        host.batch(
            netlink.create_veth(
                near, master=one.index, mtu=tag.mtu, peer=far, peer_mac=mac, namespace=here
            )
        )
    host.batch(netlink.set_link(far, master=other.index))
    for end in (near, far):
        port = host.link(end)
        assert port
        sysctl.set_ipv6(end, NO_IPV6)
        if one.vlans:
            host.batch(netlink.add_trunk(port.index))
        host.batch(netlink.set_link(end, up=True, alias=tag.link))
