# SPDX-License-Identifier: MPL-2.0
"""What a new zone says of its first boot when that cannot come to its end."""

from pathlib import Path

from tests.smf.manifests import Needs, instance, service
from tests.smf.world import World, until

EXECUTE = "svc:/smartdc/mdata:execute"


def first_boot(world: World, needed: str) -> Path:
    """Boot as a zone that is new, where mdata:execute needs svc:/site/needed; the file it makes."""
    state = world.root / "var/svc"
    success = f"/bin/mv {state}/provisioning {state}/provision_success"
    world.bring(needed)
    world.bring(
        service(
            "smartdc/mdata",
            start=success,
            duration="transient",
            needs=[Needs("site/needed")],
            enabled=None,
            instances=instance("execute", enabled=True),
        )
    )
    state.mkdir(parents=True, exist_ok=True)
    (state / "provision_success").unlink(missing_ok=True)
    (state / "provisioning").touch()
    world.reboot()
    return state / "provision_failure"


def test_what_fails_is_named_until_it_is_mended(own: World) -> None:
    broken = service("site/needed", start="/bin/false", duration="transient", enabled=True)
    failure = first_boot(own, broken)
    until(failure.exists, "the zone says that it has failed")
    text = failure.read_text()
    assert (
        text
        == "svc:/site/needed:default: Its start method exited with status 1, again and again.\n"
    )
    own.svccfg("-s", "site/needed", "setprop", "start/exec = /bin/true")
    own.svcadm("refresh", "site/needed")
    own.svcadm("clear", "site/needed")
    until(lambda: not failure.exists(), "it takes that back")
    until((failure.parent / "provision_success").exists, "it is provisioned")
    # Later failures are none of the first boot's.
    own.svcadm("mark", "maintenance", "site/needed")
    own.wait("svc:/site/needed:default", "maintenance")
    assert not failure.exists()


def test_what_is_not_there_is_named(own: World) -> None:
    failure = first_boot(own, service("site/other"))
    until(failure.exists, "the zone says that it has failed")
    assert failure.read_text() == f"{EXECUTE}: It depends on svc:/site/needed, which is absent.\n"


def test_a_first_boot_that_goes_well_says_nothing(own: World) -> None:
    good = service("site/needed", start="/bin/true", duration="transient", enabled=True)
    failure = first_boot(own, good)
    until((failure.parent / "provision_success").exists, "it is provisioned")
    assert not failure.exists()
