# SPDX-License-Identifier: MPL-2.0
"""Compiled seccomp filters: crun takes 10 ms to make one of a profile, and all zones have the same.

crun leaves what it has compiled in its state directory. The next zone with the same profile gets
that, in an annotation of crun's, and starts sooner.
"""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import cast

from hull.wire import Json, JsonObject

ANNOTATION = "run.oci.seccomp_bpf_data"


class Filters:
    """The filters that were compiled since hulld's start, by profile."""

    def __init__(self) -> None:
        self._compiled: dict[str, str] = {}

    def put_in(self, config: JsonObject) -> JsonObject:
        """The config with its filter, if that is known."""
        data = self._compiled.get(_profile(config))
        if data is None:
            return config
        annotations = cast(JsonObject, config.get("annotations", {}))
        return config | {"annotations": annotations | {ANNOTATION: data}}

    def keep(self, config: JsonObject, compiled: Path) -> None:
        """Remember what crun has made of a config, if it has left it."""
        if (profile := _profile(config)) not in self._compiled:
            with suppress(OSError):
                self._compiled[profile] = base64.b64encode(compiled.read_bytes()).decode()


def _profile(config: JsonObject) -> str:
    linux = cast(JsonObject, config.get("linux", {}))
    profile: Json = linux.get("seccomp")
    return json.dumps(profile, sort_keys=True)
