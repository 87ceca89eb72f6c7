# SPDX-License-Identifier: MPL-2.0
"""What becomes of a brand's OCI config."""

from pathlib import Path

import pytest

from hull.wire import JsonObject
from hull.zone import bundle

RLIMIT: JsonObject = {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 65536}


def config() -> JsonObject:
    return {"process": {"args": ["/sbin/init"], "rlimits": [RLIMIT]}}


def test_it_is_completed_not_changed() -> None:
    given = config()
    done = bundle.complete(given, Path("/r"), {"RLIMIT_NOFILE": 20000})
    assert done == {
        "root": {"path": "/r", "readonly": False},
        "process": {
            "args": ["/sbin/init"],
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 20000}],
        },
    }
    assert given == config()


@pytest.mark.parametrize("hard", [{}, {"RLIMIT_NOFILE": -1}, {"RLIMIT_NOFILE": 65536}])
def test_a_limit_within_the_hosts_stays(hard: dict[str, int]) -> None:
    done = bundle.complete(config(), Path("/r"), hard)
    assert done["process"] == {"args": ["/sbin/init"], "rlimits": [RLIMIT]}


def test_the_hard_limits_of_this_process() -> None:
    assert bundle.hard_limits()["RLIMIT_NOFILE"] != 0


def test_binds_are_mounted_by_us() -> None:
    proc: JsonObject = {"destination": "/proc", "type": "proc", "source": "proc"}
    shared: JsonObject = {
        "destination": "/data",
        "type": "bind",
        "source": "/host/data",
        "options": ["rbind", "nodev", "ro", "idmap"],
    }
    plain: JsonObject = {"destination": "/native", "type": "bind", "source": "/host/native"}
    given: JsonObject = {"mounts": [shared, proc, plain]}
    done, trees = bundle.take_binds(given)
    assert trees == [
        bundle.Tree("/host/data", "/data", 1 | 4, idmap=True, shared=True),
        bundle.Tree("/host/native", "/native", 0, idmap=False),
    ]
    assert done == {"mounts": [proc]}
    assert given == {"mounts": [shared, proc, plain]}
    assert bundle.take_binds({}) == ({"mounts": []}, [])


def test_namespaces_that_are_there_are_joined() -> None:
    given: JsonObject = {"linux": {"namespaces": [{"type": "user"}, {"type": "pid"}], "x": 1}}
    joined = bundle.join_namespaces(given, {"user": "/ns"})
    namespaces = [{"type": "user", "path": "/ns"}, {"type": "pid"}]
    assert joined == {"linux": {"namespaces": namespaces, "x": 1}}
    without: JsonObject = {"linux": {"namespaces": [{"type": "pid"}]}}
    assert bundle.join_namespaces(without, {"user": "/ns"}) == without
