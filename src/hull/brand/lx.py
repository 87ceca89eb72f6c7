# SPDX-License-Identifier: MPL-2.0
"""Brand lx: a Linux distribution with its own init, systemd."""

import signal

from hull.brand import oci
from hull.brand.brand import ZoneConfig
from hull.wire import JsonObject

INIT = "/sbin/init"


class Lx:
    """A distribution that boots as it would on a machine."""

    name = "lx"
    own_cgroups = True
    # systemd(1): SIGRTMIN+4 asks for a power off; SIGTERM would only make it execute itself anew.
    stop_signal = signal.SIGRTMIN + 4

    def bundle(self, config: ZoneConfig) -> JsonObject:
        """See the port."""
        # systemd tells a container by a read-only /sys, and refuses a v1 cgroup tree since 257.
        mounts = [
            oci.tmpfs("/run", "755"),
            oci.tmpfs("/run/lock", "1777", "size=5m"),
            oci.own_cgroups(),
        ]
        return oci.base(config, [config.init or INIT], [*mounts])
