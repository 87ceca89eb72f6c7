# SPDX-License-Identifier: MPL-2.0
"""What is imported at boot: each file once, in order, and gone when it is gone."""

import shutil
from pathlib import Path

import pytest

from smf import manifest_import
from smf.errors import SmfError, Unwritable
from smf.importer import file_key
from smf.places import Places
from tests.unit.smf.bundles import DATA, XI, Importer, X, config, dependent, instance, xml
from tests.unit.smf.local import Local


class Machine(Importer):
    """A root with manifests and profiles; the first directory is the platform's."""

    def __init__(self, client: Local, root: Path) -> None:
        super().__init__(client)
        self.root = root
        self.places = Places(str(root))
        self.places.manifests = (
            str(root / "lib"), str(root / "var/svc/manifest"), str(root / "opt/custom/smf"),
        )  # fmt: skip
        self.places.platform = self.places.manifests[:1]
        for top in self.places.manifests:
            Path(top).mkdir(parents=True)
        self.broken: list[str] = []

    def write(
        self, name: str, body: str = "", *, service: str = "x", kind: str = "manifest"
    ) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(xml(body or instance(), service=f"site/{service}", kind=kind))
        return str(path)

    def run(self, *, early: bool = False) -> None:
        self.told = []
        self.broken = manifest_import.run(self.client, self.places, self.told.append, early=early)

    def services(self) -> list[str]:
        found = [each for each in self.client.entities() if ":" not in each[5:]]
        return [each for each in found if each != manifest_import.HASHES]

    @property
    def generation(self) -> int:
        assert isinstance(self.client, Local)
        return self.client.store.generation


@pytest.fixture
def machine(local: Local, tmp_path: Path) -> Machine:
    return Machine(local, tmp_path)


def test_order(machine: Machine) -> None:
    names = ["lib/a.xml", "lib/site/0.xml", "lib/z/b.xml", "var/svc/manifest/c.xml"]
    names += ["var/svc/manifest/site/d.xml", "opt/custom/smf/deep/er/e.xml", "lib/no.txt"]
    for number, name in enumerate(names):
        machine.write(name, service=f"s{number}")
    found = manifest_import.manifests(machine.places.manifests)
    assert [path.removeprefix(f"{machine.root}/") for path in found] == [
        "lib/a.xml",
        "lib/z/b.xml",
        "lib/site/0.xml",
        "var/svc/manifest/c.xml",
        "var/svc/manifest/site/d.xml",
        "opt/custom/smf/deep/er/e.xml",
    ]
    machine.run()
    assert machine.services() == [f"svc:/site/s{number}" for number in (0, 2, 1, 3, 4, 5)]


def test_early_is_only_the_platform(machine: Machine) -> None:
    machine.write("lib/a.xml", service="a")
    machine.write("var/svc/manifest/b.xml", service="b")
    disabled = instance(enabled="false")
    machine.write("var/svc/profile/site.xml", disabled, service="a", kind="profile")
    machine.run(early=True)
    assert machine.services() == ["svc:/site/a"]
    assert machine.values("svc:/site/a:default", "general") == {"enabled": ("true",)}
    machine.run()
    assert machine.services() == ["svc:/site/a", "svc:/site/b"]
    assert machine.values("svc:/site/a:default", "general") == {"enabled": ("false",)}


def test_a_file_that_has_not_changed_is_passed_over(machine: Machine) -> None:
    path = machine.write("lib/a.xml", config(foo="1") + instance())
    machine.run()
    group = machine.client.attached("svc:/smf/manifest")[file_key(path)]
    assert group.value("manifestfile") == path
    assert group.properties["md5sum"].kind == "opaque"
    machine.client.commit([["ungroup", X, "config"]])
    before = machine.generation
    machine.run()
    assert machine.generation == before
    machine.write("lib/a.xml", config(foo="1", bar="2") + instance())
    machine.run()
    assert machine.values(X, "config") == {"bar": ("2",)}


def test_a_profile_that_has_not_changed_resets_nothing(machine: Machine) -> None:
    machine.write("lib/a.xml", instance(enabled="false"))
    machine.write("etc/svc/profile/site.xml", instance(enabled="true"), kind="profile")
    machine.run()
    assert machine.values(XI, "general") == {"enabled": ("true",)}
    machine.set(XI, "general", "enabled", "false")
    machine.run()
    assert machine.values(XI, "general") == {"enabled": ("false",)}


def test_profiles_are_applied_in_their_order(machine: Machine) -> None:
    machine.write("lib/a.xml", config(foo="0") + instance())
    names = ["generic.xml", "platform.xml", "site.xml", "site/a.xml", "site/b.xml"]
    files = [f"etc/svc/profile/{name}" for name in names] + ["var/svc/profile/site.xml"]
    for number, name in enumerate(files, 1):
        machine.write(name, config(**{f"p{number}": "1"}, foo=str(number)), kind="profile")
    machine.run(early=True)
    assert machine.values(X, "config")["foo"] == ("5",)
    machine.run()
    assert machine.values(X, "config")["foo"] == ("6",)
    assert len(machine.values(X, "config")) == 7


def test_a_broken_file_does_not_stop_the_others(machine: Machine) -> None:
    for name in ("values", "grammar", "unclosed"):
        shutil.copy(DATA / f"broken/{name}.xml", machine.root / "lib")
    machine.write("lib/a-profile.xml", kind="profile")
    machine.write("lib/z.xml")
    machine.run()
    assert machine.services() == [X]
    names = ["a-profile", "grammar", "unclosed", "values"]
    assert machine.broken == [f"{machine.root}/lib/{name}.xml" for name in names]
    assert machine.told[0].startswith(f"{machine.root}/lib/a-profile.xml: test is a profile")
    unclosed = "mismatched tag; <service> of line 3 is not closed"
    assert f"{machine.root}/lib/unclosed.xml:4: not well-formed XML: {unclosed}" in machine.told
    told = machine.told
    machine.run()
    assert machine.told == told  # each time, until it is mended


def test_what_all_would_meet_ends_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write("lib/a.xml")

    def full(*_: object) -> None:
        raise Unwritable("the disk is full")

    monkeypatch.setattr(machine.client, "commit", full)
    with pytest.raises(Unwritable):
        machine.run()


def test_a_service_goes_with_its_file(machine: Machine) -> None:
    path = Path(machine.write("opt/custom/smf/a.xml", dependent() + instance()))
    machine.write("lib/b.xml", service="b")
    machine.run()
    assert "x_b" in machine.client.attached("svc:/site/b")
    path.unlink()
    machine.run(early=True)
    assert X in machine.client.entities()  # it is not the platform's to say
    machine.run()
    assert X not in machine.client.entities()
    assert "x_b" not in machine.client.attached("svc:/site/b")
    assert file_key(str(path)) not in machine.client.attached("svc:/smf/manifest")
    assert machine.refreshed("svc:/site/b:default")


def test_a_file_that_is_moved_takes_its_service_along(machine: Machine) -> None:
    path = Path(machine.write("lib/a.xml"))
    machine.run()
    machine.set(XI, "general", "enabled", "false")
    path.rename(machine.root / "opt/custom/smf/b.xml")
    machine.run()
    assert machine.values(XI, "general") == {"enabled": ("false",)}
    assert list(machine.values(X, "manifestfiles").values()) == [
        (f"{machine.root}/opt/custom/smf/b.xml",)
    ]


def test_a_service_that_has_left_its_file_goes(machine: Machine) -> None:
    machine.write("lib/a.xml")
    machine.run()
    machine.write("lib/a.xml", service="renamed")
    machine.run()
    assert machine.services() == ["svc:/site/renamed"]


def test_what_somebody_has_made_by_hand_keeps_its_service(machine: Machine) -> None:
    path = Path(machine.write("lib/a.xml"))
    machine.run()
    machine.client.commit([["add", "svc:/site/x:own"]])
    path.unlink()
    machine.run()
    assert X in machine.client.entities()
    assert machine.told == [f"{X}: its manifest is gone; it stays because of svc:/site/x:own"]


def test_a_directory_that_is_not_there_says_nothing(machine: Machine) -> None:
    machine.write("opt/custom/smf/a.xml")
    machine.run()
    shutil.rmtree(machine.root / "opt/custom")
    machine.run()
    assert X in machine.client.entities()


def test_cleanup_by_hand(machine: Machine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "home/a.xml"
    machine(instance(), str(elsewhere))
    machine.run()
    assert manifest_import.cleanup(machine.client, machine.places.manifests, print) == []
    assert manifest_import.cleanup(machine.client, ("/",), print) == [X]


def test_a_file_is_forgotten(machine: Machine) -> None:
    path = machine.write("lib/a.xml", config(foo="1") + instance())
    assert not manifest_import.forget(machine.client, path)
    machine.run()
    assert manifest_import.known(machine.client).keys() == {path}
    assert manifest_import.forget(machine.client, path)
    assert manifest_import.known(machine.client) == {}


def test_the_method(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(DATA / "broken/root.xml", machine.root / "lib")
    monkeypatch.setattr(manifest_import, "Places", lambda: machine.places)
    monkeypatch.setattr(manifest_import, "Client", lambda _: machine.client)
    assert manifest_import.main([]) == 0
    assert "root.xml:2: this is to be a <service_bundle>" in capsys.readouterr().out
    assert manifest_import.main(["now"]) == 2

    def refuse(*_: object) -> None:
        raise SmfError("no")

    monkeypatch.setattr(manifest_import, "run", refuse)
    assert manifest_import.main([]) == 1
    assert capsys.readouterr().out == "manifest-import: no\n"
