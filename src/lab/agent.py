# SPDX-License-Identifier: MPL-2.0
"""The lab's hand in a guest: runs what is asked of it over a port, a JSON object a line.

In: {"id", "argv", "stdin"}; out: {"id", "status", "stdout", "stderr"}, texts in base64.
Standard library only; it is part of the platform, and runs only where the lab has made the port.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}
IDLE = 0.05  # seconds between looks while nobody has opened the other end
_writing = threading.Lock()


def serve(path: str) -> None:
    """Until the end of the machine."""
    port = os.open(path, os.O_RDWR)
    received = b""
    while True:
        part = os.read(port, 1 << 16)
        if not part:
            time.sleep(IDLE)
            continue
        *lines, received = (received + part).split(b"\n")
        for line in filter(None, lines):
            threading.Thread(target=answer, args=(port, line), daemon=True).start()


def answer(port: int, line: bytes) -> None:
    said = json.dumps(run(json.loads(line))).encode() + b"\n"
    with _writing:
        while said:
            said = said[os.write(port, said) :]


def run(asked: "dict[str, object]") -> "dict[str, object]":
    argv, stdin = asked["argv"], base64.b64decode(str(asked.get("stdin", "")))
    assert isinstance(argv, list)
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, env=ENVIRONMENT, cwd="/root",
                              check=False)  # fmt: skip
        status, out, err = done.returncode, done.stdout, done.stderr
    except OSError as exc:
        status, out, err = 127, b"", f"{argv[0]}: {exc.strerror}\n".encode()
    return {
        "id": asked["id"],
        "status": status,
        "stdout": base64.b64encode(out).decode(),
        "stderr": base64.b64encode(err).decode(),
    }


if __name__ == "__main__":
    serve(sys.argv[1])
