# SPDX-License-Identifier: MPL-2.0
"""Where things are: below a root, which is / in a zone and on a live host."""

import os

# The part of the tree that comes with the platform: manifests, methods, smf_include.sh.
LIB = os.path.join(os.path.dirname(os.path.realpath(__file__)), "lib/svc")
HOSTED = "/var/lib/hull"
IN_ZONE = "/.zonecontrol"  # each of Hull's zones has it
LIVE = "/etc/hull-release"  # and each live host this


def root() -> str:
    """The root without its last slash: $HULL_ROOT, a hosted host's, or that of the machine."""
    if (said := os.environ.get("HULL_ROOT")) is not None:
        return said.rstrip("/")
    return HOSTED if os.path.isdir(HOSTED + "/etc/svc") else ""


class Places:
    """Absolute paths below a root."""

    def __init__(self, below: str | None = None) -> None:
        self.root = root() if below is None else below.rstrip("/")
        self.etc = self.root + "/etc/svc"
        self.volatile = self.root + "/run/svc"  # a tmpfs: ends with the machine's run
        self.repository = self.etc + "/repository.db"
        self.nonpersistent = self.volatile + "/svc_nonpersist.db"
        self.door = self.volatile + "/repository_door"
        self.log = self.root + "/var/svc/log"
        kind = "native" if os.path.isdir(IN_ZONE) else "global"
        self.platform: tuple[str, ...] = (LIB + "/manifest", f"{LIB}/manifest-{kind}")
        if kind == "global" and not self.root and os.path.exists(LIVE):
            self.platform += (LIB + "/manifest-live",)
        self.manifests: tuple[str, ...] = (
            *self.platform, self.root + "/var/svc/manifest", self.root + "/opt/custom/smf",
        )  # fmt: skip
        # What a new repository is a copy of; illumos has the same names.
        self.seed = f"{LIB}/seed/{'nonglobal' if kind == 'native' else kind}.db"
        self.first_profile = f"{LIB}/profile/{kind}.xml"  # what is enabled at the first boot
        # Hull's: of a zone whose first boot is not done, and why that cannot be done any more.
        self.provisioning = self.root + "/var/svc/provisioning"
        self.provision_failure = self.root + "/var/svc/provision_failure"
        self.profiles = self.root + "/etc/svc/profile"
        self.site_profile = self.root + "/var/svc/profile/site.xml"
        self.upgrade = self.root + "/var/svc/profile/upgrade"  # a script of sh, to be run once

    def logfile(self, fmri: str) -> str:
        """The log of an instance: svc:/network/ssh:default is in network-ssh:default.log."""
        return f"{self.log}/{fmri.removeprefix('svc:/').replace('/', '-')}.log"
