# SPDX-License-Identifier: MPL-2.0
"""The machine's tables, made larger and made what they were."""

from pathlib import Path

from hull.daemon import tables
from hull.linux import sysctl
from tests.integration.net_fixtures import needs_netns, private_namespace

pytestmark = needs_netns

# One of a network namespace's own, so that this touches nobody's.
TABLE = "net/ipv4/tcp_max_tw_buckets"


def test_a_table_is_made_larger_and_what_it_was(tmp_path: Path) -> None:
    record = tmp_path / "tables.json"
    with private_namespace():
        before = int(sysctl.read(TABLE) or 0)
        wanted = {TABLE: before + 1, "net/ipv4/no_such_table": 5}
        tables.enlarge(wanted, record)
        assert sysctl.read(TABLE) == str(before + 1)
        tables.enlarge({TABLE: before + 2}, record)  # another host: the record stays
        tables.enlarge({TABLE: 1}, record)
        assert sysctl.read(TABLE) == str(before + 2)
        tables.restore(record)
        assert sysctl.read(TABLE) == str(before)
        assert not record.exists()
        tables.restore(record)
        assert sysctl.read(TABLE) == str(before)


def test_what_is_wanted_is_there_and_larger_than_the_kernels_default() -> None:
    wanted = tables.wanted()
    missing = {name for name in wanted if sysctl.read(name) is None}
    assert not [
        name for name in missing if not name.startswith("net/")
    ]  # the machine's namespace's
    assert wanted["kernel/pty/max"] > 2000 * 256
    assert wanted["net/ipv4/neigh/default/gc_thresh3"] > 2048
