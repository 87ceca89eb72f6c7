# SPDX-License-Identifier: MPL-2.0
"""Names that nothing uses. Fails if there are any but these, each of which has its reason."""

import sys
from pathlib import Path

from vulture import Vulture

TABLES = {"disk.py", "forms.py", "guest.py", "nic.py", "status.py", "vm.py"}  # fields read by name
ALLOWED = {
    # What socketserver and http.server look up by name.
    "daemon_threads", "block_on_close", "request_queue_size", "address_family", "verify_request",
    "handle_error", "server_version", "sys_version", "do_GET", "do_HEAD", "do_POST", "do_PUT",
    "do_DELETE", "close_connection", "send_error", "request_version", "log_message",
    # What xml.parsers.expat looks up by name.
    "buffer_text", "specified_attributes", "StartElementHandler", "EndElementHandler",
    "CharacterDataHandler", "StartDoctypeDeclHandler", "EntityDeclHandler",
    # Defined for methods, and a failure as any other to svc.startd.
    "EXIT_MON_OFFLINE",
    # The fakes define what the ports mean; the conformance tests run over them.
    "FakePool", "FakeRuntime", "FakeDatalinks",
    # The Pool port is whole from the start: disks of the kvm brand, and `zpool scrub`, come later.
    "create_volume", "scrub", "driver", "allocated", "quota_includes_shared",
}  # fmt: skip


def main() -> int:
    vulture = Vulture()
    vulture.scavenge(["src", "tools"], exclude=["*/src/native/python/*"])
    found = [
        item
        for item in vulture.get_unused_code(min_confidence=60)
        if item.name not in ALLOWED
        and not (Path(item.filename).name in TABLES and item.typ == "variable")
    ]
    for item in found:
        print(f"{item.filename}:{item.first_lineno}: unused {item.typ} {item.name}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
