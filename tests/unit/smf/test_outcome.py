# SPDX-License-Identifier: MPL-2.0
"""How a method's end is said to a reader of the log, and of svcs -x."""

import pytest

from smf import outcome


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (1 << 8, "exited with status 1"),
        (96 << 8, "exited with status 96 (SMF_EXIT_ERR_CONFIG)"),
        (126 << 8, "exited with status 126 (its program cannot be executed)"),
        (127 << 8, "exited with status 127 (its program was not found)"),
        (9, "was ended by SIGKILL"),
        (11 | 0x80, "was ended by SIGSEGV, and dumped core"),
        (126, "was ended by signal 126"),
    ],
)
def test_words(status: int, text: str) -> None:
    found = outcome.of_wait_status("start", status)
    assert (found.text, found.wait_status) == (text, status)
