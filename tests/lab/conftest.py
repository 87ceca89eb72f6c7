# SPDX-License-Identifier: MPL-2.0
"""What is in `guest` runs inside a guest only: it would do harm to anybody's machine."""

from pathlib import Path

collect_ignore_glob = [] if Path("/run/lab/command").exists() else ["guest/*"]
