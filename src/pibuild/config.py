# SPDX-License-Identifier: MPL-2.0
"""A build as it is described: platform/platform.toml, or one of your own that adds to it."""

import re
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from hull.errors import InvalidPayload, NotFound, Problem

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
PATTERN = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$)).+")  # below the root


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """The kernel's packages, and which of its modules stay."""

    package: str
    headers: str
    zfs: str
    without: tuple[str, ...] = ()
    initramfs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config:
    """A platform to be built. `files` are absolute, in the order of being laid over."""

    name: str
    suite: str
    packages: tuple[str, ...]
    kernel: Kernel
    without: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


LISTS = ("packages", "without", "remove", "files")  # to which a build of one's own adds
WORDS = {"name": NAME, "suite": NAME, "packages": NAME, "without": NAME, "remove": PATTERN}


def read_config(path: Path) -> Config:
    """Read a description and those that it is based on. NotFound, InvalidPayload."""
    data = _read(path)
    problems = list(_check(data))
    if problems:
        raise InvalidPayload(problems)
    directory = path.absolute().parent
    files = tuple(directory / name for name in data.pop("files", ()))
    missing = [Problem("files", f"{each} is no directory") for each in files if not each.is_dir()]
    if missing:
        raise InvalidPayload(missing)
    lists = {name: tuple(data.pop(name, ())) for name in LISTS if name != "files"}
    if base := data.pop("base", ""):
        below = read_config(directory / base)
        return replace(
            below,
            **data,
            **{name: getattr(below, name) + added for name, added in lists.items()},
            files=below.files + files,
        )
    kernel: dict[str, Any] = {key: _frozen(value) for key, value in data.pop("kernel").items()}
    values: dict[str, Any] = {**data, **lists}  # their types have been checked
    return Config(**values, files=files, kernel=Kernel(**kernel))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as exc:
        raise NotFound(f"{path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InvalidPayload([Problem("", f"{path} is not TOML: {exc}")]) from exc


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _check(data: dict[str, Any]) -> list[Problem]:
    """What is missing, unknown or of another type."""
    based = "base" in data
    known = {field.name for field in fields(Config)} | {"base"}
    if based:
        known.remove("kernel")  # it comes with the base, as its modules have to fit
    problems = [
        Problem(key, "unknown field", f"known: {', '.join(sorted(known))}")
        for key in data
        if key not in known
    ]
    required = set() if based else {"name", "suite", "packages", "kernel"}
    problems += [Problem(key, "missing") for key in sorted(required - set(data))]
    for key, value in data.items():
        if key in LISTS:
            problems += _check_list(key, value)
        elif key in known and key != "kernel":
            problems += _check_word(key, value)
    if isinstance(kernel := data.get("kernel"), dict) and not based:
        problems += _check_kernel(kernel)
    elif "kernel" in data and not based:
        problems.append(Problem("kernel", "must be a table"))
    return problems


def _check_kernel(kernel: dict[str, Any]) -> list[Problem]:
    problems = []
    for field in fields(Kernel):
        name = f"kernel.{field.name}"
        value = kernel.get(field.name)
        if field.name in ("without", "initramfs"):
            problems += _check_list(name, [] if value is None else value)
        elif value is None:
            problems.append(Problem(name, "missing"))
        else:
            problems += _check_word(name, value)
    known = {field.name for field in fields(Kernel)}
    return problems + [
        Problem(f"kernel.{key}", "unknown field") for key in kernel if key not in known
    ]


def _check_list(key: str, value: object) -> list[Problem]:
    if not isinstance(value, list):
        return [Problem(key, "must be a list of strings")]
    return [
        problem
        for number, word in enumerate(value)
        for problem in _check_word(f"{key}[{number}]", word)
    ]


def _check_word(key: str, value: object) -> list[Problem]:
    if not isinstance(value, str) or not value:
        return [Problem(key, "must be a string that is not empty")]
    pattern = WORDS.get(key.partition("[")[0])
    if pattern and not pattern.fullmatch(value):
        return [Problem(key, f"{value!r} cannot be one")]
    return []
