# SPDX-License-Identifier: MPL-2.0
"""Every man page goes through man(1) without a complaint, and says what it should."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.man import roff

PAGES = sorted((Path(__file__).parents[2] / "docs/man").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_as_a_reader_sees_it(page: Path, tmp_path: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    file = tmp_path / page.name.removesuffix(".md")
    file.write_text(roff(page.read_text(encoding="utf-8")), encoding="utf-8")
    done = subprocess.run(
        ["man", "--warnings", "-l", str(file)],
        env={"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MANPAGER": "cat"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "NAME\n" in done.stdout
    assert "\\" not in done.stdout.replace("\\:", "")
