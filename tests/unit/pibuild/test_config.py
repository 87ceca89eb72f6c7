# SPDX-License-Identifier: MPL-2.0
"""Descriptions of platforms: the one that is shipped, one's own, and wrong ones."""

from pathlib import Path

import pytest

from hull.errors import InvalidPayload, NotFound
from pibuild.build import CHECKOUT
from pibuild.config import read_config

SHIPPED = CHECKOUT / "platform/platform.toml"


def test_the_shipped_one() -> None:
    config = read_config(SHIPPED)
    assert config.suite == "trixie"
    assert {"zfsutils-linux", "crun", "conmon", "python3-h11"} <= set(config.packages)
    assert len(set(config.packages)) == len(config.packages)
    assert config.files == (CHECKOUT / "platform/root",)


def test_one_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    own = tmp_path / "own.toml"
    own.write_text(
        f'base = "{SHIPPED}"\nname = "mine"\npackages = ["munin-node"]\nfiles = ["files"]\n'
    )
    base, config = read_config(SHIPPED), read_config(own)
    assert (config.name, config.suite, config.kernel) == ("mine", "trixie", base.kernel)
    assert config.packages == (*base.packages, "munin-node")
    assert config.files == (*base.files, tmp_path / "files")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("name = ", ""),
        ('name = "x"', "kernel"),
        ('base = "x"\npack_ages = []', "pack_ages"),
        ('base = "x"\npackages = "munin"', "packages"),
        ('base = "x"\npackages = ["a b"]', "packages[0]"),
        ('base = "x"\nremove = ["../etc"]', "remove[0]"),
        ('base = "x"\nremove = ["/etc"]', "remove[0]"),
        ('base = "x"\nname = 5', "name"),
        ('base = "x"\nkernel = {}', "kernel"),
        ('base = "x"\nfiles = ["nowhere"]', "files"),
        ('name = "x"\nsuite = "s"\npackages = []\nkernel = {package = 5}', "kernel.package"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, path: str) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(InvalidPayload) as caught:
        read_config(tmp_path / "wrong.toml")
    assert path in [problem.path for problem in caught.value.problems]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_config(tmp_path / "nothing.toml")
