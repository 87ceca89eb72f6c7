# SPDX-License-Identifier: MPL-2.0
"""What a VM's root makes appear on an operator's terminal does nothing there.

The console and zlogin relay bytes, as ssh does, and a log file is what init has printed: what these
show is read by whoever opens them (docs/security.md).
"""

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.integration.hosts import BIN, TestHost
from tests.integration.zone_fixtures import why_not
from tests.isolation.vm import Attacker, attackers

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_zones,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

# A title, a request for an answer, a cleared screen by C1, text that is written the other way.
HOSTILE = "\x1b]0;title\x07 \x1b[6n \x9b2J \u202etxt.exe"
OBEYED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def attacker(host: TestHost, base_image: str) -> Iterator[Attacker]:
    with attackers(host, base_image, "writer") as (made,):
        words = ["zlogin", made.uuid, "mdata-put note"]
        host(*words, stdin=HOSTILE)
        yield made


def shown(attacker: Attacker, *argv: str) -> str:
    """What a command prints on a terminal."""
    master, slave = pty.openpty()
    env = os.environ | {"HULL_ROOT": str(attacker.host.root)}
    with subprocess.Popen([str(BIN / argv[0]), *argv[1:]], stdout=slave, stderr=slave, env=env):
        os.close(slave)
        data = b""
        try:
            while part := os.read(master, 65536):
                data += part
        except OSError:  # EIO: nobody has it open any more
            pass
        finally:
            os.close(master)
    return data.decode()


def test_metadata_on_a_terminal(attacker: Attacker) -> None:
    text = shown(attacker, "vmadm", "get", attacker.uuid)
    assert OBEYED.search(text) is None
    assert json.loads(text)["customer_metadata"] == {"note": HOSTILE}


def test_control_a_pipe_gets_what_was_written(attacker: Attacker) -> None:
    text = attacker.host("vmadm", "get", attacker.uuid).stdout
    assert OBEYED.search(text)
    assert json.loads(text)["customer_metadata"] == {"note": HOSTILE}


def test_an_error_on_a_terminal(attacker: Attacker) -> None:
    """One that quotes what the operator has pasted."""
    text = shown(attacker, "vmadm", HOSTILE)
    assert "\\u001b]0;title" in text
    assert OBEYED.search(text) is None
