# SPDX-License-Identifier: MPL-2.0
"""The Datalinks port on Linux: a bridge a nic tag, a veth pair a vnic, rules in nftables.

The host end of a pair is a port of the tag's bridge, and all protection is there; the other end is
born in the zone's namespace and can be trusted with nothing.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from errno import EEXIST, EINVAL, ENODEV, ENOENT, ESRCH
from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path

from hull.errors import CommandFailed, Exists, HostError, KernelError, NotFound, Timeout
from hull.linux import netlink, nft, sysctl, tc
from hull.linux.netlink import LinkInfo, Netlink
from hull.linux.netns import in_netns, opened
from hull.net import bridges, dhcp, dhcpcid, nat
from hull.net.datalink import Link, NicTag, Route, Vnic, changed
from hull.net.nictag import eui64, stable_mac
from hull.net.protection import FAMILY, LINK_LOCAL, Protection
from hull.net.record import Records

LOOPBACK = "lo"

# The n-th link of a zone has metric METRIC + n: with several default routes the first nic wins.
METRIC = 100

READY_TIMEOUT = 5.0

# What a bridge calls the VLAN of ports that are on none.
UNTAGGED = 1

BRIDGE_IPV6 = {"accept_ra": "0", "addr_gen_mode": "1"}  # 1: no address but what it is given


class KernelDatalinks:
    """The nic tags and vnics of one host, in the network namespace of the calling thread."""

    def __init__(self, run: Path, *, host_id: str, networks: tuple[NicTag, ...]) -> None:
        """`run` is the host's runtime directory, `networks` what `up` makes."""
        self._prefix = f"h{host_id}"
        self._table = f"hull-{host_id}"
        self._tags = {tag.name: tag for tag in networks}
        self._run = run
        self._state = run / "net"
        self._records = Records(self._state / "vnics")
        self._forwarding = self._state / "forwarding.json"
        self._protection = Protection(self._table, self._prefix)

    # -- the port ---------------------------------------------------------------------------------

    def nic_tags(self) -> dict[str, NicTag]:
        with Netlink() as host:
            found = [(tag, host.link(tag.link)) for tag in self._tags.values()]
        return {
            tag.name: replace(tag, vlans=link is not None and link.vlans) for tag, link in found
        }

    def links(self) -> list[Link]:
        with Netlink() as host:
            found = host.links()
        masters = {
            index: tag.name for tag in self._tags.values() for index in bridges.of_tag(found, tag)
        }
        return [
            Link(name=link.name, nic_tag=masters[link.master], mac=link.alias, up=link.running)
            for link in found
            if link.name.startswith(self._prefix) and link.master in masters
        ]

    def create_vnic(self, vnic: Vnic, netns: str) -> None:
        tag = self._tag(vnic.nic_tag)
        with ExitStack() as stack:
            namespace = stack.enter_context(opened(netns))
            host = stack.enter_context(Netlink())
            bridge = bridges.first(host, tag)
            if host.link(vnic.link):
                raise Exists(f"link {vnic.link} exists already")
            undo = stack.enter_context(ExitStack())
            self._protect(vnic, undo)
            self._connect(vnic, tag, host, bridge, namespace, undo)
            _wait_running(host, vnic.link, tag.link)
            self._records.complete(vnic.link)
            undo.pop_all()

    def change_vnic(self, vnic: Vnic, netns: str) -> None:
        old = self._records.get(vnic.link)
        if old is None:
            raise NotFound(f"there is no link {vnic.link}")
        new = changed(old, vnic)
        with ExitStack() as stack:
            namespace = stack.enter_context(opened(netns))
            host = stack.enter_context(Netlink())
            undo = stack.enter_context(ExitStack())
            undo.callback(self._change, new, old, host, namespace)
            self._change(old, new, host, namespace)
            self._records.change(new)
            undo.pop_all()

    def delete_vnic(self, link: str) -> None:
        vnic = self._records.get(link)
        if vnic is None and not link.startswith(self._prefix):
            return
        with Netlink() as host:
            _delete_link(host, link)
        if vnic:
            self._unprotect(vnic)

    def up(self) -> None:
        self._check()
        self._state.mkdir(parents=True, exist_ok=True)
        routed = [tag for tag in self._tags.values() if tag.address or tag.address6]
        with Netlink() as host:
            vnics = self._sweep(host)
            self._load_rules(vnics)
            for tag in self._tags.values():
                _make_bridge(host, tag)
            self._reconnect(host, vnics)
            if routed:
                nat.enable_forwarding(self._forwarding, alone=self._is_alone(host))
        for tag in routed:
            dhcp.start(tag, dhcp.directory(self._run, tag.name))

    def down(self) -> None:
        for directory in sorted(self._state.glob("dhcp/*")):
            dhcp.stop(directory)
        with Netlink() as host:
            joins = [link for link in host.links() if bridges.is_join(link.name, self._prefix)]
            for link in [*joins, *self._own(host)]:
                _delete_link(host, link.name)
            nat.restore_forwarding(self._forwarding, alone=self._is_alone(host))
        nft.apply(nft.delete_table(FAMILY, self._table) + nft.delete_table(nat.FAMILY, self._table))
        if self._state.exists():
            shutil.rmtree(self._state)

    # -- steps of create_vnic and delete_vnic -----------------------------------------------------

    def _protect(self, vnic: Vnic, undo: ExitStack) -> None:
        """Load what the vnic may send, before it can send anything."""
        if stale := self._records.get(vnic.link):
            self._unprotect(stale)
        self._records.begin(vnic)
        undo.callback(self._unprotect, vnic)
        nft.apply(self._protection.load(vnic, self._tag(vnic.nic_tag)))

    def _unprotect(self, vnic: Vnic) -> None:
        tag = self._tags.get(vnic.nic_tag)
        try:
            if tag:
                nft.apply(self._protection.unload(vnic, tag))
        except CommandFailed:
            if nft.has_table(FAMILY, self._table):
                raise
        self._records.remove(vnic.link)

    def _connect(
        self,
        vnic: Vnic,
        tag: NicTag,
        host: Netlink,
        bridge: LinkInfo,
        namespace: int,
        undo: ExitStack,
    ) -> None:
        """Make the pair and set up both ends."""
        pair = netlink.create_veth(
            vnic.link,
            master=bridge.index,
            mtu=vnic.mtu or tag.mtu,
            peer=vnic.interface,
            peer_mac=vnic.mac,
            namespace=namespace,
        )
        host.batch(pair)
        undo.callback(_delete_link, host, vnic.link)
        if bridges.crowded(host, vnic.link):
            self._plug_in(host, vnic, tag)
        _attach(host, vnic)
        in_netns(namespace, partial(_configure, vnic, tag))

    def _change(self, old: Vnic, new: Vnic, host: Netlink, namespace: int) -> None:
        """Repeating a change, or taking back half of one, is no error."""
        tag = self._tag(old.nic_tag)
        port = host.link(old.link)
        if port is None:
            raise NotFound(f"there is no link {old.link}")
        # What was there is loaded first, as only what is there can be deleted.
        load = self._protection.load(old, tag) + self._protection.change(old, new, tag)
        nft.apply(load)
        _set_learning(host, port, new)
        _set_client_ids(host, port, new)
        in_netns(namespace, partial(_change_routes, old, new))

    def _tag(self, name: str) -> NicTag:
        try:
            return self._tags[name]
        except KeyError:
            raise NotFound(
                f'no nic tag "{name}" on this host', hint="list them with `nictagadm list`"
            ) from None

    # -- steps of up and down ---------------------------------------------------------------------

    def _check(self) -> None:
        """Raise HostError if the host's own networks would get in the way of another's."""
        mine = {tag.link for tag in self._tags.values()}
        with Netlink() as host:
            names = {link.index: link.name for link in host.links()}
            others = [(names.get(i, ""), address) for i, address in host.addresses()]
        for tag in self._tags.values():
            for name, address in others:
                own = tag.address if address.version == 4 else tag.address6
                if own and name not in mine and address.network.overlaps(own.network):
                    raise HostError(
                        f"nic tag {tag.name}'s network {own.network} overlaps {address} on {name}",
                        hint="choose another root for this host, and so another network",
                    )

    def _sweep(self, host: Netlink) -> list[Vnic]:
        """Remove what a killed hulld left half made; the vnics that are whole."""
        found = {link.name for link in self._own(host) if link.kind == "veth"}
        whole = []
        for vnic, complete in list(self._records.all()):
            if complete and vnic.link in found and vnic.nic_tag in self._tags:
                whole.append(vnic)
            else:
                self._records.remove(vnic.link)
        for name in found - {vnic.link for vnic in whole}:
            _delete_link(host, name)
        return whole

    def _load_rules(self, vnics: list[Vnic]) -> None:
        """The tables anew, in one transaction: no frame passes in between that should not."""
        loads = [self._protection.load(vnic, self._tags[vnic.nic_tag]) for vnic in vnics]
        nat_rules = nat.rules(self._table, self._prefix, self._tags.values())
        nft.apply(self._protection.rules() + "".join(loads) + nat_rules)

    def _reconnect(self, host: Netlink, vnics: list[Vnic]) -> None:
        """Make vnics ports of their bridge again, where it was removed behind our back."""
        found = host.links()
        ports = {link.name: link for link in found}
        for vnic in vnics:
            tag = self._tags[vnic.nic_tag]
            port = ports.get(vnic.link)
            if port and port.master not in bridges.of_tag(found, tag):
                self._plug_in(host, vnic, tag)
                _attach(host, vnic)

    def _plug_in(self, host: Netlink, vnic: Vnic, tag: NicTag) -> None:
        for bridge in bridges.with_room(host, tag, self._prefix):
            host.batch(netlink.set_link(vnic.link, master=bridge.index))
            if not bridges.crowded(host, vnic.link):
                return

    def _own(self, host: Netlink) -> list[LinkInfo]:
        return [
            link
            for link in host.links()
            if link.name.startswith(self._prefix) and link.kind in ("veth", "bridge")
        ]

    def _is_alone(self, host: Netlink) -> bool:
        """Whether nobody else has a bridge in this namespace."""
        return all(
            link.name.startswith(self._prefix) for link in host.links() if link.kind == "bridge"
        )


def _make_bridge(host: Netlink, tag: NicTag) -> None:
    """The tag's link as it should be, from whatever it is."""
    found = host.link(tag.link)
    mac = stable_mac(tag.link)
    if found and found.kind != "bridge":
        raise HostError(f"link {tag.link} exists and is not Hull's", hint="rename or delete it")
    bridges.make(host, tag, tag.link)
    sysctl.set_ipv6(tag.link, BRIDGE_IPV6)
    bridge = host.link(tag.link)
    assert bridge
    # The link-local address too: by itself it comes a second after the first zone, and until then
    # no router advertisement is sent.
    own = (tag.address, tag.address6, tag.address6 and eui64(mac, LINK_LOCAL))
    host.batch(
        netlink.set_link(tag.link, mac=mac),
        *(netlink.add_address(bridge.index, address) for address in own if address),
    )


def _attach(host: Netlink, vnic: Vnic) -> None:
    """Set up the host end of a pair that is a port of a bridge."""
    port = host.link(vnic.link)
    if port is None:
        raise HostError(f"link {vnic.link} has gone", hint="its zone has ended; start it again")
    # IPv6 of its own would only add to the noise on the network.
    sysctl.set_ipv6(vnic.link, bridges.NO_IPV6)
    if vnic.vlan_id:
        host.batch(
            netlink.add_port_vlan(port.index, vnic.vlan_id),
            netlink.delete_port_vlan(port.index, UNTAGGED),
        )
    host.batch(netlink.set_link(vnic.link, up=True, alias=vnic.mac))
    _set_learning(host, port, vnic)
    _set_client_ids(host, port, vnic)


def _set_client_ids(host: Netlink, port: LinkInfo, vnic: Vnic) -> None:
    """Look into what DHCP clients say, where only some identifiers are theirs to use."""
    index = port.index
    if not vnic.dhcp_cids or vnic.allow_dhcp_spoofing:
        _suppress((EINVAL, ENOENT), partial(host.batch, tc.delete_queue(index)))
        return
    program = dhcpcid.program(vnic.mac, vnic.dhcp_cids)
    _suppress((EEXIST,), partial(host.batch, tc.add_queue(index)))
    host.batch(
        tc.set_program(index, 1, program, verdict=False),
        tc.set_program(index, 2, dhcpcid.refuse_all(), verdict=True),
    )


def _suppress(numbers: tuple[int, ...], change: Callable[[], None]) -> None:
    """Make a change that may have been made before."""
    try:
        change()
    except KernelError as exc:
        if exc.errno not in numbers:
            raise


def _set_learning(host: Netlink, port: LinkInfo, vnic: Vnic) -> None:
    """A bridge is told where a MAC is; it looks for itself where a port may have others, too."""
    learning = vnic.allow_mac_spoofing or vnic.virtual
    host.batch(netlink.set_port(vnic.link, learning=learning))
    if not learning:
        host.batch(netlink.add_forwarding(port.index, vnic.mac))
        return
    _suppress((ENOENT,), partial(host.batch, netlink.delete_forwarding(port.index, vnic.mac)))


def _configure(vnic: Vnic, tag: NicTag) -> None:
    """Set up the zone's end: called in the zone's namespace."""
    with Netlink() as zone:
        link = zone.link(vnic.interface)
        if link is None:
            raise HostError(f"{vnic.interface} has gone from the zone")
        sysctl.set_ipv6(vnic.interface, ipv6_settings(vnic, tag))
        zone.batch(netlink.set_link(LOOPBACK, up=True), netlink.set_link(vnic.interface, up=True))
        _wait_running(zone, vnic.interface)
        zone.batch(
            *(netlink.add_address(link.index, address) for address in vnic.addresses),
            *default_routes(vnic, link.index),
        )
        _wait_local(zone, vnic)
        zone.batch(*(static_route(vnic, link.index, route) for route in vnic.routes))


def _change_routes(old: Vnic, new: Vnic) -> None:
    """Called in the zone's namespace, where its root may have changed everything meanwhile."""
    with Netlink() as zone:
        link = zone.link(new.interface)
        if link is None:
            return
        for route in old.routes:
            if route not in new.routes:
                network, gateway = _parsed(route)
                deletion = netlink.delete_route(link.index, network, gateway)
                _suppress((ESRCH,), partial(zone.batch, deletion))
        zone.batch(*(static_route(new, link.index, route) for route in new.routes))


def static_route(vnic: Vnic, index: int, route: Route) -> netlink.Request:
    network, gateway = _parsed(route)
    near = gateway is None or any(gateway in address.network for address in vnic.addresses)
    return netlink.add_route(index, network, gateway, onlink=not near)


def _parsed(route: Route) -> tuple[netlink.Network, netlink.Address | None]:
    return ip_network(route.destination), ip_address(route.gateway) if route.gateway else None


def ipv6_settings(vnic: Vnic, tag: NicTag) -> dict[str, str]:
    """The zone's switches for its end: the addresses it may use, and no others."""
    settings = {
        "disable_ipv6": "0",
        "accept_ra": "1" if vnic.autoconf else "0",
        "addr_gen_mode": "0",  # made from the MAC, as the protection expects
        "use_tempaddr": "0",
        "router_solicitation_delay": "0",
    }
    # Where only this host's zones are, their MACs differ: nobody need be asked, at once it works.
    return settings | ({"dad_transmits": "0"} if tag.address6 else {})


def default_routes(vnic: Vnic, index: int) -> list[netlink.Request]:
    """A default route by each gateway of a vnic."""
    networks = [address.network for address in vnic.addresses]
    requests = []
    for text in vnic.gateways:
        gateway = ip_address(text)
        near = gateway.is_link_local or any(gateway in network for network in networks)
        requests.append(
            netlink.add_default_route(index, gateway, metric=METRIC + index, onlink=not near)
        )
    return requests


def _wait_running(here: Netlink, *names: str) -> None:
    """Wait until links can send: the kernel follows a carrier late, and loses packets meanwhile.

    Since Linux 6.8 asking is enough to make it follow; before, it takes a millisecond.
    """
    for name in names:
        _wait(f"link {name}", partial(_is_running, here, name))


def _wait_local(zone: Netlink, vnic: Vnic) -> None:
    """Wait until packets to the zone's addresses get in: IPv6 ones are completed behind our back.

    Until then an answer from the gateway is lost, and the question repeated after a second.
    """
    for address in vnic.addresses:
        _wait(f"address {address}", partial(zone.is_local, address.ip))


def _is_running(here: Netlink, name: str) -> bool:
    link = here.link(name)
    return link is not None and link.running


def _wait(what: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not ready():
        if time.monotonic() > deadline:
            raise Timeout(f"{what} did not come up within {READY_TIMEOUT} seconds")
        time.sleep(0.0002)


def _delete_link(host: Netlink, name: str) -> None:
    _suppress((ENODEV,), partial(host.batch, netlink.delete_link(name)))
