# SPDX-License-Identifier: MPL-2.0
"""What `btrfs scrub status` says, in one line."""

from hull.storage.btrfs_pool import parse_scrub

FINISHED = """UUID:             3f0d28e6-83cb-4e9b-a9ad-35c1f44cd5f5
Scrub started:    Sat Nov 21 03:14:00 2026
Status:           finished
Duration:         0:00:12
Total to scrub:   4.14MiB
Rate:             4.14MiB/s
Error summary:    no errors found
"""
RUNNING = FINISHED.replace("finished", "running").replace(
    "Duration", "Time left:  0:00:01\nDuration"
)
ROTTEN = FINISHED.replace("no errors found", "csum=1") + "  Corrected: 0\n  Uncorrectable: 1\n"
NEVER = "UUID:             3f0d28e6\n\tno stats available\nTotal to scrub:   4.14MiB\n"


def test_scrub() -> None:
    assert parse_scrub(FINISHED) == (
        "finished, started Sat Nov 21 03:14:00 2026, took 0:00:12: no errors found"
    )
    assert parse_scrub(RUNNING).startswith("running, started")
    assert parse_scrub(ROTTEN).endswith(": csum=1")
    assert parse_scrub(NEVER) == "none requested"
    assert parse_scrub("") == "none requested"
