# SPDX-License-Identifier: MPL-2.0
"""-z and -Z, as far as no zone is needed; the rest is tests/integration/test_smf_svcs.py."""

from pathlib import Path

import pytest

from smf.cli import svcprop, svcs, zones
from smf.cli.zones import Zone
from smf.errors import SmfError
from tests.unit.smf.cli.conftest import Run


@pytest.fixture
def in_a_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(zones, "OF_ZONES", str(tmp_path))


@pytest.mark.usefixtures("in_a_zone")
def test_inside_a_zone_there_is_only_this_one(run: Run) -> None:
    for command, words in (
        (svcs.COMMAND, ["-z", "other"]),
        (svcs.COMMAND, ["-Z"]),
        (svcs.COMMAND, ["-Zx"]),
        (svcprop.COMMAND, ["-z", "other", "ssh"]),
    ):
        status, out, errors = run(command, *words)
        assert (status, out) == (1, "")
        assert "for the global zone" in errors


def test_what_does_not_go_together(run: Run) -> None:
    for words in (["-Z", "-z", "a"], ["-z", "a", "--graph", "-"]):
        assert run(svcs.COMMAND, *words)[0] == 2


def test_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert zones.own_name() == "global"
    monkeypatch.setenv("SMF_ZONE", "we\x1bb")
    assert zones.own_name() == "we?b"
    monkeypatch.delenv("SMF_ZONE")
    monkeypatch.setattr(zones, "OF_ZONES", str(tmp_path))
    assert zones.own_name() != "global"


def test_which_zones_have_it() -> None:
    brands = ("joyent", "joyent-minimal", "lx", "bhyve", "kvm", "docker")
    assert [Zone("z", brand, "").has_smf for brand in brands] == [True, True, *[False] * 4]
    assert Zone("global", "liveimg", "").has_smf


def test_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f":{tmp_path}")
    assert zones.program("zlogin") == str(Path(__file__).parents[4] / "bin/zlogin")
    (tmp_path / "zlogin").touch(mode=0o755)
    assert zones.program("zlogin") == f"{tmp_path}/zlogin"
    with pytest.raises(SmfError, match="nosuch was not found on PATH"):
        zones.program("nosuch")
