# SPDX-License-Identifier: MPL-2.0
"""Boot arguments of svc.init, which are for one boot (facts 4.5)."""

import subprocess

from tests.smf.manifests import Needs, service
from tests.smf.world import BIN, World

SINGLE = "milestone/single-user"


def test_single_user_is_for_this_boot(own: World) -> None:
    below, beside = own.service("site/below"), own.service("site/beside")
    own.bring(service(SINGLE, ":true", ":true", needs=[Needs("site/below")], enabled=True))
    for each in (below, beside):
        each.enable()
    own.words = ("-s",)
    own.reboot()
    below.becomes("online")
    own.wait(f"svc:/{SINGLE}:default", "online")
    assert beside.state == "disabled"
    assert beside.prop("general/enabled", "-c") == "true"
    assert "Reason: Milestone single-user does not need it" in own.svcs("-x", beside.fmri)
    own.kill("svc.startd")  # which is no boot
    own.svcadm("milestone", "all")
    beside.becomes("online")
    own.kill("svc.startd")
    beside.becomes("online")
    own.words = ()
    own.reboot()
    beside.becomes("online")


def test_milestone_none_and_verbose_by_the_environment(own: World) -> None:
    t = own.service("site/t")
    t.enable()
    own.environment["bootargs"] = "-m verbose,milestone=none"
    own.reboot()
    t.becomes("disabled")
    t.enable(status=4)
    own.svcadm("milestone", "all")
    t.becomes("online")
    assert f"{t.fmri}: executing start method" in own.said()


def test_what_is_no_argument() -> None:
    command = ["/usr/bin/python3", "-IS", str(BIN / "svc.init"), "-m", "milestone=nosuch"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("svc.init: what is milestone=nosuch?\nusage: svc.init")
