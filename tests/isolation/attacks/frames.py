# SPDX-License-Identifier: MPL-2.0
"""Frames made byte by byte, sent from a zone's own link."""

import json
import socket

from tests.isolation.attacks.base import GIVEN, attack


@attack(19)
def send_frames() -> str:
    """Those that the test gives, in hexadecimal."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("net0", 0))
        for frame in json.loads(GIVEN["frames"]):
            sock.send(bytes.fromhex(frame))
    return "done"
