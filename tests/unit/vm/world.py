# SPDX-License-Identifier: MPL-2.0
"""A host of fakes for the use cases: it can fail, or die, at any step that changes something."""

from collections.abc import Callable
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from hull.errors import HostError
from hull.host.host import Host
from hull.net.address import Leases
from hull.net.datalink import NicTag
from hull.net.fake import FakeDatalinks
from hull.paths import Paths
from hull.storage.fake import FakePool
from hull.storage.pool import PoolStatus
from hull.vm import lookup
from hull.vm.recover import recover
from hull.wire import JsonObject
from hull.zone.boots import Boots
from hull.zone.fake import FakeRuntime, Machine
from hull.zone.index import Index

IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
LX_IMAGE = "498deede-c025-11e3-8b24-f3ba141900bd"
ADMIN = NicTag(name="admin", link="h0000.admin", address=IPv4Interface("10.9.0.1/24"))
SEED: JsonObject = {
    "image_uuid": IMAGE,
    "alias": "nsa-box",
    "hostname": "mirror",
    "nics": [{"nic_tag": "admin", "ip": "dhcp", "primary": True}],
}

HOLDS = ("indestructible_zoneroot", "indestructible_delegated")

# What changes the host, by port.
STEPS = {
    "pool": ("create", "clone", "snapshot", "rollback", "destroy", "rename", "set", "receive"),
    "runtime": ("create", "start", "kill", "delete", "set_limits"),
    "datalinks": ("create_vnic", "change_vnic", "delete_vnic"),
    "index": ("put", "change", "edit", "remove"),
    "boots": ("claim", "change", "remove"),
    "leases": ("lease", "release", "keep"),
}


class Died(BaseException):
    """hulld is gone: nothing that it would still do happens."""


class Steps:
    """Counts the steps that change something, and ends one of them badly."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.fail_at = 0
        self.die_at = 0

    def take(self, name: str) -> None:
        self.taken.append(name)
        if self.die_at and len(self.taken) >= self.die_at:
            raise Died(name)
        if len(self.taken) == self.fail_at:
            raise HostError(f"{name} failed")


class Port:
    """A port that asks `steps` before each call that changes something."""

    def __init__(self, name: str, real: object, steps: Steps) -> None:
        self._name, self._real, self._steps = name, real, steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if name not in STEPS[self._name]:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._steps.take(f"{self._name}.{name}")
            return found(*args, **kwargs)

        return call


class FakeHealth:
    def status(self) -> PoolStatus:
        return PoolStatus(
            name="zones", driver="fake", state="ONLINE", size=1, allocated=0, free=1, errors=0,
            scan="none requested", devices=(),
        )  # fmt: skip

    def scrub(self, *, wait: bool = False) -> None:
        del wait


class Watching:
    """An attendant that remembers."""

    def __init__(self) -> None:
        self.attended: dict[str, int] = {}
        self.views: list[tuple[str, JsonObject | None]] = []
        self.host: Host | None = None
        self.starts: list[tuple[str, float]] = []

    def attend(self, uuid: str, pid: int, metadata_socket: Path, uid: int) -> None:
        del metadata_socket, uid
        self.attended[uuid] = pid

    def leave(self, uuid: str) -> None:
        self.attended.pop(uuid, None)

    def start_again(self, uuid: str, pause: float) -> None:
        self.starts.append((uuid, pause))

    def changed(self, uuid: str) -> None:
        assert self.host
        self.views.append((uuid, lookup.find(uuid, self.host)))


class World:
    """The machine, and the host that hulld sees; `again()` is hulld's next start."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        for path in (self.paths.etc_zones, self.paths.imgadm / "images", self.paths.zones):
            path.mkdir(parents=True)
        self.paths.run.mkdir(parents=True)
        self.pool = FakePool("zones", self.paths.zones)
        self.machine = Machine()
        self.datalinks = FakeDatalinks(networks=(ADMIN,))
        self.datalinks.up()
        self.steps = Steps()
        self.watching = Watching()
        self.images: set[str] = set()
        for uuid, kind in ((IMAGE, "zone-dataset"), (LX_IMAGE, "lx-dataset")):
            self.install(uuid, kind)
        self.host = self.again()

    def install(self, uuid: str, kind: str) -> None:
        self.images.add(uuid)
        made = self.pool.create(f"zones/{uuid}")
        for name in ("etc", "var/svc"):
            (Path(made.mountpoint) / "root" / name).mkdir(parents=True)
        self.pool.snapshot(f"zones/{uuid}@final")
        brand = {"lx-dataset": "lx"}.get(kind, "joyent")
        manifest = (
            f'{{"v": 2, "uuid": "{uuid}", "name": "img", "version": "1", "os": "linux", '
            f'"type": "{kind}", "requirements": {{"brand": "{brand}", "min_ram": 64}}}}'
        )
        record = self.paths.imgadm / "images" / f"zones-{uuid}.json"
        record.write_text(f'{{"manifest": {manifest}, "zpool": "zones", "source": ""}}')

    def again(self) -> Host:
        """A hulld that has just started: what it knows is what is on disk and in the kernel."""
        self.steps = steps = Steps()
        assert ADMIN.address is not None
        (self.paths.run / "dhcp").mkdir(exist_ok=True)
        leases = Leases(self.paths.var / "leases.json", ADMIN.address, self.paths.run / "dhcp")

        def port(name: str, real: object) -> Any:
            return Port(name, real, steps)

        host = Host(
            paths=self.paths,
            server_uuid="00000000-0000-0000-0000-00000000cafe",
            platform="test",
            id_base=1 << 20,
            native=Path("/native"),
            pool=port("pool", self.pool),
            health=FakeHealth(),
            runtime=port("runtime", FakeRuntime(self.machine)),
            datalinks=port("datalinks", self.datalinks),
            leases={"admin": port("leases", leases)},
            index=port("index", Index(self.paths.etc_zones)),
            boots=port("boots", Boots(self.paths.boots)),
            attendant=self.watching,
        )
        self.watching.host = host
        return host

    def trace(self) -> dict[str, object]:
        """All that is left of VMs on this machine."""
        leases = self.paths.var / "leases.json"
        text = leases.read_text() if leases.exists() else ""
        return {
            "datasets": [d.name for d in self.pool.datasets() if d.name.count("-") == 4],
            "zones": sorted(self.machine.zones),
            "snapshots": [
                s.name for d in self.pool.datasets() for s in self.pool.snapshots(d.name)
            ],
            "quotas": [(d.name, d.quota, d.compression) for d in self.pool.datasets()],
            "limits": {uuid: zone.spec.limits for uuid, zone in self.machine.zones.items()},
            "links": sorted(self.datalinks.vnics),
            "vnics": {link: vnic for link, (vnic, _) in self.datalinks.vnics.items()},
            "records": sorted(path.name for path in self.paths.etc_zones.iterdir()),
            "boots": sorted(path.name for path in self.paths.boots.iterdir()),
            "leased": text.count('"mac"'),
            "metadata": sorted(p.name for p in (self.paths.run / "metadata").glob("*")),
            "attended": sorted(self.watching.attended),
        }

    def fail_everywhere(self, operation: Callable[[Host], object]) -> int:
        """Let `operation` fail at its first step, its second …; each time all must be as before.

        Returns how many steps it has. The last time it succeeds.
        """
        before = self.trace()
        for number in range(1, 100):
            self.host = self.again()
            self.steps.fail_at = number
            try:
                operation(self.host)
            except HostError:
                after = self.trace()
                assert after == before, f"{self.steps.taken[number - 1]} failed"
                continue
            self.steps.fail_at = 0
            return number - 1
        raise AssertionError("no end")

    def die_everywhere(
        self, prepare: Callable[[Host], object], operation: Callable[[Host], object]
    ) -> list[str]:
        """Let hulld die at each step of `operation` in turn; the next one's start is the world's.

        Yields to the caller's checks through the returned list of steps that were died at.
        """
        died = []
        for number in range(1, 100):
            self.host = self.again()
            prepare(self.host)
            self.steps.taken.clear()
            self.steps.die_at = number
            try:
                operation(self.host)
            except Died:
                died.append(self.steps.taken[number - 1])
                self.host = self.again()
                recover(self.host)
                self.check_whole()
                self.forget_all()
                continue
            return died
        raise AssertionError("no end")

    def check_whole(self) -> None:
        """Every VM is there with all it needs, or not at all."""
        trace = self.trace()
        uuids = {zone.uuid for zone in self.host.index.all()}
        assert {zone.zone_state for zone in self.host.index.all()} <= {"installed"}
        datasets = {str(name).split("/")[1] for name in trace["datasets"]}  # type: ignore[attr-defined]  # a list
        assert datasets - self.images == uuids
        up = {entry.uuid for entry in self.host.boots.all()}
        assert set(self.machine.zones) == up <= uuids
        assert set(self.watching.attended) == up
        links = {link for entry in self.host.boots.all() for link in entry.links}
        assert set(self.datalinks.vnics) == links
        assert trace["leased"] == sum(len(zone.vm.nics) for zone in self.host.index.all())

    def forget_all(self) -> None:
        from hull.vm.delete import delete
        from hull.vm.update import update

        for zone in self.host.index.all():
            if held := {name: False for name in HOLDS if getattr(zone.vm, name)}:
                update(zone.uuid, dict(held), self.host)
            delete(zone.uuid, self.host)


def with_(payload: JsonObject, **more: Any) -> JsonObject:
    return {**payload, **more}
