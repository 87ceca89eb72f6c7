# SPDX-License-Identifier: MPL-2.0
"""Device nodes: made, brought along in an image, or mounted."""

import os
import stat

from tests.isolation.attacks.base import MS_BIND, MS_REMOUNT, attack, mount

MEMORY, KMSG, MSR = (1, 1), (1, 11), (202, 0)


def _make(path: str, device: tuple[int, int]) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(*device))


def _open(path: str) -> str:
    os.close(os.open(path, os.O_RDONLY))
    return "done"


@attack(8)
def make_node() -> str:
    _make("/root/node", MEMORY)
    return "done"


@attack(8, 9)
def kmsg_node() -> str:
    """The kernel's log, by a node of its own, where nodes are alive."""
    _make("/dev/hull-kmsg", KMSG)
    try:
        return _open("/dev/hull-kmsg")
    finally:
        os.unlink("/dev/hull-kmsg")


@attack(8, 23)
def msr_node() -> str:
    """The registers of a CPU; what is not there on this machine was let through all the same."""
    _make("/dev/hull-msr", MSR)
    try:
        return _open("/dev/hull-msr")
    except FileNotFoundError:
        return "done"
    finally:
        os.unlink("/dev/hull-msr")


@attack(8)
def image_node() -> str:
    """A device that a hostile image brings along."""
    return _open("/root/image-disk")


@attack(8)
def shared_node() -> str:
    """One in a directory of the host's that the zone sees."""
    return _open("/shared/disk")


@attack(8, 17)
def bound_node() -> str:
    """The image's, where its file system is mounted once more."""
    mount("/root", "/root/again", "none", MS_BIND)
    mount("", "/root/again", "", MS_BIND | MS_REMOUNT)
    return _open("/root/again/image-disk")


@attack(8, 17)
def mount_devtmpfs() -> str:
    mount("devtmpfs", "/root/m", "devtmpfs")
    return "done"
