# SPDX-License-Identifier: MPL-2.0
"""Recipes: what they may say, and what is made of them before anything runs."""

import json
from pathlib import Path

import pytest

from hull.errors import Corrupt, InvalidPayload
from hull.image.build import (
    MIRROR,
    manifest_of,
    mmdebstrap_argv,
    parse_release_date,
    sources,
    tar_argv,
)
from hull.image.manifest import parse_manifest
from hull.image.recipe import Recipe, parse_recipe

SHIPPED = sorted((Path(__file__).parents[3] / "image").glob("*.toml"))
GOOD = """
name = "tiny"
version = "1.0"
description = "Very small"
os = "linux"
type = "lx-dataset"
brand = "lx"
suite = "trixie"
packages = ["less"]
"""


def problems_of(text: str, directory: Path) -> list[str]:
    with pytest.raises(InvalidPayload) as caught:
        parse_recipe(text, directory)
    return [problem.path for problem in caught.value.problems]


def test_a_recipe_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    recipe = parse_recipe(f'{GOOD}\nfiles = ["files"]\nvariant = "apt"\n', tmp_path)
    assert recipe.stem == "tiny-1.0"
    assert (recipe.packages, recipe.files, recipe.variant) == (("less",), ("files",), "apt")
    assert recipe.directory == tmp_path


def test_every_problem_is_told(tmp_path: Path) -> None:
    assert problems_of('nmae = "x"\npackages = "less"\n', tmp_path) == [
        "nmae", "name", "version", "description", "os", "type", "brand", "suite", "packages",
    ]  # fmt: skip
    bad = GOOD.replace('"tiny"', '"a/b"').replace('"less"', '"less; reboot"')
    bad += 'files = ["nowhere"]\nvariant = "huge"\ninit = "init"\n'
    assert problems_of(bad, tmp_path) == ["name", "variant", "packages[0]", "files[0]", "init"]
    assert problems_of("name = ", tmp_path) == [""]
    assert problems_of(GOOD.replace("lx-dataset", "zvol"), tmp_path) == ["type"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_make_valid_manifests(path: Path) -> None:
    recipe = parse_recipe(path.read_text(), path.parent)
    manifest = parse_manifest(manifest_of(recipe, 1_700_000_000, "a" * 40, "b" * 64, 42))
    assert manifest.data["published_at"] == "2023-11-14T22:13:20Z"
    assert (manifest.brand, manifest.name) == (recipe.brand, recipe.name)


def test_the_uuid_follows_the_bytes(tmp_path: Path) -> None:
    recipe = parse_recipe(GOOD, tmp_path)

    def uuid(digest: str) -> str:
        return parse_manifest(manifest_of(recipe, 0, "a" * 40, digest * 64, 1)).uuid

    assert uuid("b") == uuid("b") != uuid("c")


def recipe_with(directory: Path, **changes: tuple[str, ...]) -> Recipe:
    text = GOOD + "".join(f"{key} = {json.dumps(value)}\n" for key, value in changes.items())
    return parse_recipe(text, directory)


def test_the_command_is_plain_data(tmp_path: Path) -> None:
    (tmp_path / "it's").mkdir()
    recipe = recipe_with(tmp_path, files=("it's",), post=("echo 'a b'",))
    argv = mmdebstrap_argv(recipe, "trixie", MIRROR, Path("/tmp/root"))
    assert argv[:2] == ["mmdebstrap", "--mode=root"]
    assert "--include=less" in argv
    hooks = [word for word in argv if word.startswith("--customize-hook=")]
    assert hooks[0].startswith(f"--customize-hook=tar -C '{tmp_path}/it'\"'\"'s' ")
    assert hooks[1] == "--customize-hook=chroot \"$1\" sh -ec 'echo '\"'\"'a b'\"'\"''"
    assert argv[-5:-3] == ["trixie", "/tmp/root"]
    assert argv[-1].endswith("trixie-security main")


def test_another_mirror_gets_no_updates() -> None:
    assert sources("trixie", "http://localhost/d") == ("deb http://localhost/d trixie main",)


def test_times_are_clamped_and_names_sorted() -> None:
    argv = tar_argv(Path("/r"), 1234)
    assert {"--sort=name", "--mtime=@1234", "--clamp-mtime", "--numeric-owner"} <= set(argv)


def test_the_date_of_a_suite() -> None:
    text = "Origin: Debian\nDate: Sat, 12 Sep 2026 07:55:41 UTC\nAcquire-By-Hash: yes\n"
    assert parse_release_date(text, "x") == 1789199741
    with pytest.raises(Corrupt):
        parse_release_date("<html>", "x")
