# SPDX-License-Identifier: MPL-2.0
"""Brands joyent, joyent-minimal, builder: a native zone, booted by its image's own /sbin/init."""

import signal

from hull.brand import oci
from hull.brand.brand import ZoneConfig
from hull.wire import JsonObject

INIT = "/sbin/init"


class Joyent:
    """A native zone; the brands differ in what their images hold."""

    own_cgroups = True
    stop_signal = signal.SIGTERM.value

    def __init__(self, name: str) -> None:
        self.name = name

    def bundle(self, config: ZoneConfig) -> JsonObject:
        """See the port."""
        return oci.base(
            config, [config.init or INIT], [oci.tmpfs("/run", "755"), oci.own_cgroups()]
        )
