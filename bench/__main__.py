# SPDX-License-Identifier: MPL-2.0
"""python -m bench: Hull beside its peers, row by row. See docs/performance.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src/native"))

from bench.run import main

main()
