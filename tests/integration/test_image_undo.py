# SPDX-License-Identifier: MPL-2.0
"""An import each of whose steps fails once: what was done before is undone."""

import tarfile
from pathlib import Path

import pytest

from hull.errors import Error
from hull.image import import_
from hull.paths import Paths
from hull.storage.fake import FakePool
from tests.integration.image_fixtures import archive, assert_nothing_left, manifest_for, member
from tests.integration.test_image_import import ignore, to

pytestmark = [pytest.mark.needs_root]


class Broken(FakePool):
    """A pool one of whose methods fails."""

    def __init__(self, mountpoint: Path, method: str) -> None:
        super().__init__("zones", mountpoint)
        self.broken = method

    def __getattribute__(self, name: str) -> object:
        if name != "broken" and name == object.__getattribute__(self, "__dict__").get("broken"):
            raise Error(f"{name} fails")
        return super().__getattribute__(name)


@pytest.mark.parametrize("method", ["create", "set", "snapshot", "rename"])
def test_each_step_that_fails_undoes_those_before(tmp_path: Path, method: str) -> None:
    paths = Paths(tmp_path / "host")
    paths.zones.mkdir(parents=True)
    data = archive((member("./etc", type=tarfile.DIRTYPE, mode=0o755), b""))
    manifest = manifest_for(data)
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(Error, match=f"{method} fails"):
        import_.install_image(
            to((Broken(paths.zones, method), paths)),
            manifest,
            str(tmp_path / "file"),
            progress=ignore,
        )
    assert_nothing_left(FakePool("zones", paths.zones), paths, str(manifest["uuid"]))
