# SPDX-License-Identifier: MPL-2.0
"""A recipe: the short TOML file from which `mkimage` builds an image."""

import re
import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from hull.errors import InvalidPayload, Problem

VARIANTS = ("apt", "minbase", "required", "important", "standard")
IMAGE_NAME = re.compile(r"[A-Za-z0-9._-]+")
SUITE = re.compile(r"[a-z][a-z0-9-]*")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image: what goes in, and what its manifest says."""

    name: str
    version: str
    description: str
    os: str
    type: str  # zone-dataset or lx-dataset
    brand: str  # the brand whose zones may use it
    suite: str  # Debian's
    packages: tuple[str, ...]
    homepage: str = ""
    variant: str = "minbase"  # mmdebstrap's: what is there before `packages`
    files: tuple[str, ...] = ()  # directories beside the recipe, laid over the root in this order
    post: tuple[str, ...] = ()  # shell commands run in the root, after the files
    init: str = "/sbin/init"  # must be there and executable at the end
    directory: Path = Path()  # where the recipe is

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}"


def parse_recipe(text: str, directory: Path) -> Recipe:
    """Read a recipe that is in `directory`. Raises InvalidPayload with every problem."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise InvalidPayload([Problem("", f"not TOML: {exc}")]) from exc
    if problems := list(check_fields(data)) or list(check_values(data, directory)):
        raise InvalidPayload(problems)
    values: dict[str, Any] = {  # their types have been checked
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
    }
    return Recipe(**values, directory=directory)


def check_fields(data: dict[str, object]) -> list[Problem]:
    """Missing, unknown and ill-typed fields."""
    known = {field.name: field for field in fields(Recipe) if field.name != "directory"}
    problems = [
        Problem(key, "unknown field", f"known: {', '.join(known)}")
        for key in data
        if key not in known
    ]
    for name, field in known.items():
        if name not in data:
            if field.default is MISSING:
                problems.append(Problem(name, "required"))
            continue
        value = data[name]
        if field.type is str and not isinstance(value, str):
            problems.append(Problem(name, "must be a string"))
        if field.type is not str and not _is_strings(value):
            problems.append(Problem(name, "must be a list of strings"))
    return problems


def _is_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def check_values(data: dict[str, object], directory: Path) -> list[Problem]:
    """Well-typed values that make no sense."""
    problems = []
    for name, pattern in (("name", IMAGE_NAME), ("version", IMAGE_NAME), ("suite", SUITE)):
        if not pattern.fullmatch(str(data[name])):
            problems.append(Problem(name, f"must match {pattern.pattern}"))
    if data.get("variant", "minbase") not in VARIANTS:
        problems.append(Problem("variant", f"must be one of {', '.join(VARIANTS)}"))
    if data["type"] not in ("zone-dataset", "lx-dataset"):
        problems.append(Problem("type", "must be zone-dataset or lx-dataset"))
    problems += [
        Problem(f"packages[{index}]", f"{package!r} is no package name")
        for index, package in enumerate(_strings(data, "packages"))
        if not PACKAGE.fullmatch(package)
    ]
    problems += [
        Problem(f"files[{index}]", f"{directory / name} is not a directory")
        for index, name in enumerate(_strings(data, "files"))
        if not (directory / name).is_dir()
    ]
    if not str(data.get("init", "/")).startswith("/"):
        problems.append(Problem("init", "must be an absolute path"))
    return problems


def _strings(data: dict[str, object], name: str) -> list[str]:
    value = data.get(name, [])
    return [str(item) for item in value] if isinstance(value, list) else []
