# SPDX-License-Identifier: MPL-2.0
"""Instances of procfs: the same parameters by another way, and nothing mounted."""

import os
from pathlib import Path

import pytest

from hull.errors import KernelError
from hull.linux import netns, procfs, sysctl
from hull.linux.namespace import private_mount_namespace
from tests.integration.net_fixtures import Lan, needs_netns, new_lan

pytestmark = needs_netns


def test_an_instance_has_this_machines_parameters_and_is_mounted_nowhere() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    with procfs.opened() as top:
        fd = os.open("sys/kernel/ostype", os.O_RDONLY, dir_fd=top)
        with os.fdopen(fd) as file:
            assert file.read() == "Linux\n"
        assert Path("/proc/self/mountinfo").read_text() == before
    assert Path("/proc/self/mountinfo").read_text() == before


def test_covering_is_seen_in_that_mount_namespace_alone() -> None:
    def device() -> int:
        return os.stat("/proc").st_dev

    seen: list[int] = []

    def setup() -> None:
        procfs.cover()
        seen.append(device())

    os.close(private_mount_namespace(setup))
    assert seen != [device()]


def test_a_links_switches_are_those_of_the_namespace_it_is_in(tmp_path: Path) -> None:
    def switch() -> str | None:
        return sysctl.read("net/ipv6/conf/lo/disable_ipv6")

    outside = switch()
    with new_lan(tmp_path) as lan:
        inside = namespace_of(lan)
        netns.in_netns(inside, lambda: sysctl.set_ipv6("lo", {"disable_ipv6": "1", "nosuch": "1"}))
        assert netns.in_netns(inside, switch) == "1"
        with pytest.raises(KernelError, match="disable_ipv6"):
            netns.in_netns(inside, lambda: sysctl.set_ipv6("lo", {"disable_ipv6": "x"}))
        os.close(inside)
    assert switch() == outside


def namespace_of(lan: Lan) -> int:
    return os.open(lan.namespace().path, os.O_RDONLY)
