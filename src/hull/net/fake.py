# SPDX-License-Identifier: MPL-2.0
"""The Datalinks port in memory: what a driver must do, and what use cases are tested with."""

from hull.errors import Exists, HostError, NotFound
from hull.net.datalink import Link, NicTag, Vnic, changed


class FakeDatalinks:
    """Nic tags and vnics that nothing passes through."""

    def __init__(self, *, networks: tuple[NicTag, ...]) -> None:
        self._tags = {tag.name: tag for tag in networks}
        self._up = False
        self.vnics: dict[str, tuple[Vnic, str]] = {}  # by link: the vnic, and its namespace

    def nic_tags(self) -> dict[str, NicTag]:
        return dict(self._tags)

    def links(self) -> list[Link]:
        return [
            Link(name=vnic.link, nic_tag=vnic.nic_tag, mac=vnic.mac, up=True)
            for vnic, _ in self.vnics.values()
        ]

    def create_vnic(self, vnic: Vnic, netns: str) -> None:
        if vnic.nic_tag not in self._tags:
            raise NotFound(f'no nic tag "{vnic.nic_tag}" on this host')
        if not self._up:
            raise HostError(f"nic tag {vnic.nic_tag} has no link", hint="bring the host up")
        if vnic.link in self.vnics:
            raise Exists(f"link {vnic.link} exists already")
        self.vnics[vnic.link] = (vnic, netns)

    def change_vnic(self, vnic: Vnic, netns: str) -> None:
        if vnic.link not in self.vnics:
            raise NotFound(f"there is no link {vnic.link}")
        self.vnics[vnic.link] = (changed(self.vnics[vnic.link][0], vnic), netns)

    def delete_vnic(self, link: str) -> None:
        self.vnics.pop(link, None)

    def up(self) -> None:
        self._up = True

    def down(self) -> None:
        self._up = False
        self.vnics.clear()
