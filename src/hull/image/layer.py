# SPDX-License-Identifier: MPL-2.0
"""What lays a layer, a tar archive with whiteouts, over a root in extract.py's cage."""

from pathlib import Path

from hull.image import apply

# Any Python that a host may have: no site, no user's environment.
PYTHON = ("/usr/bin/python3", "-ISB")


def layer_argv(diff_id: str = "") -> list[str]:
    """Lay the uncompressed archive on standard input over /root.

    `diff_id` (sha256:HEX) is what that archive must be, if the image says so.
    """
    return [*PYTHON, "-c", Path(apply.__file__).read_text(encoding="utf-8"), "/root", diff_id]
