# SPDX-License-Identifier: MPL-2.0
"""A new zone's first boot, for who waits outside until it is done: can it still come to its end?

Whoever makes a zone leaves /var/svc/provisioning in it; the method of svc:/smartdc/mdata:execute
renames that, and the zone is provisioned. Should that service not be able to run any more, as
something that it needs is in maintenance or not there, /var/svc/provision_failure says why.
"""

import os

from smf import view
from smf.client import Client
from smf.errors import SmfError
from smf.graph import NEVER, NO, Graph
from smf.places import Places

LAST = "svc:/smartdc/mdata:execute"
# What is missing as yet may be in a manifest that this one is going to import.
IMPORT = "svc:/system/manifest-import:default"


class Provisioning:
    """Watches over the first boot of a new zone, and does nothing elsewhere."""

    def __init__(self, places: Places, client: Client) -> None:
        self._places = places
        self._client = client
        self._pending = os.path.exists(places.provisioning)
        self._told = ""

    def judge(self, graph: Graph) -> None:
        """Say what has gone wrong; or take it back, if somebody has mended it."""
        if not self._pending:
            return
        last, imports = graph.vertices.get(LAST), graph.vertices.get(IMPORT)
        if last is None or (imports and imports.standing == NO):
            return
        self._pending = not last.running
        why = self._why() if last.standing == NEVER else ""
        if why != self._told:
            self._tell(why)

    def _why(self) -> str:
        from smf.explain import Explainer  # what svcs -x says: hardly ever needed here

        try:
            found = view.read(self._client, kinds=("dependency",))
        except SmfError as exc:
            return str(exc)
        explainer = Explainer(found)
        lines = [
            f"{root.instance.fmri}: {reason.text}"
            for root in explainer.roots(found.instances[LAST])
            for reason in explainer.reasons(root.instance)
            if reason.culprit is None
        ]
        return "\n".join(lines)

    def _tell(self, why: str) -> None:
        self._told = why
        try:
            if why:
                with open(self._places.provision_failure, "w", encoding="utf-8") as file:
                    file.write(why + "\n")
            else:
                os.unlink(self._places.provision_failure)
        except OSError:  # a full disk, say: then it takes whoever waits its time
            return
