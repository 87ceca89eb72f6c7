# SPDX-License-Identifier: MPL-2.0
"""A Docker container as a zone: its program is init, and nothing else runs but what that starts."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from hull.brand import oci
from hull.brand.brand import ZoneConfig
from hull.wire import Json, JsonObject

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# As Docker: programs that are not root serve the well-known ports, too.
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0"}


@dataclass(frozen=True, kw_only=True)
class Container:
    """What a container runs, and as whom: all numbers, nothing is left to be looked up."""

    args: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)  # over what every container has
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()  # beside gid
    home: str = "/root"
    tty: bool = False
    stop_signal: int = signal.SIGTERM.value


class Docker:
    """The brand of one container, in place of its VM's."""

    name = "docker"
    own_cgroups = False

    def __init__(self, container: Container) -> None:
        self._container = container

    @property
    def stop_signal(self) -> int:
        """See the port."""
        return self._container.stop_signal

    def bundle(self, config: ZoneConfig) -> JsonObject:
        """See the port."""
        config = replace(config, sysctls={**SYSCTLS, **config.sysctls})
        # Programs that size themselves read their limits here.
        mounts: list[Json] = [
            oci.mount("/sys/fs/cgroup", "cgroup2", "nosuid", "nodev", "noexec", "ro")
        ]
        made = oci.base(config, [*self._container.args], mounts)
        process = cast(JsonObject, made["process"])
        return made | {"process": process | self._process(config, process)}

    def _process(self, config: ZoneConfig, process: JsonObject) -> JsonObject:
        own = self._container
        env = {"PATH": PATH, "HOSTNAME": config.hostname}
        env |= {"TERM": "xterm"} if own.tty else {}
        env |= {"HOME": own.home, **own.env}
        groups = list[Json](own.groups)
        capabilities = dict(cast(JsonObject, process["capabilities"]))
        if own.uid:
            # As execve(2) would: who is not root gets them by set-user-id programs only.
            capabilities |= {"effective": [], "permitted": []}
        return {
            "terminal": own.tty,
            "user": {"uid": own.uid, "gid": own.gid, "additionalGids": groups},
            "cwd": own.cwd,
            "env": [f"{name}={value}" for name, value in env.items()],
            "capabilities": capabilities,
        }
