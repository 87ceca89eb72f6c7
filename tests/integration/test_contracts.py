# SPDX-License-Identifier: MPL-2.0
"""The import contracts of pyproject.toml break when they should: a fault is planted for each."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
# Contract -> a module of src, and an import that it must not have.
FAULTS = {
    "A module imports only from below": [
        ("hull/model/units.py", "import hull.vm.create"),
        ("hull/client/call.py", "import hull.daemon.api"),
        ("hull/zone/runtime.py", "import hull.storage.pool"),
    ],
    "Only the composition root chooses drivers": [
        ("hull/vm/create.py", "import hull.storage.btrfs"),
        ("hull/image/store.py", "import hull.zone.crun"),
        ("hull/cli/vmadm.py", "import hull.net.kernel"),
    ],
    "Drivers do not know each other": [
        ("hull/net/kernel.py", "import hull.net.fake"),
    ],
    "What runs inside a zone stands alone": [
        ("native/mdata/client.py", "import hull.errors"),
    ],
    "Use cases are synchronous": [
        ("hull/vm/stop.py", "import asyncio"),
        ("hull/linux/run.py", "import asyncio"),
    ],
}
CASES = [(name, *fault) for name, faults in FAULTS.items() for fault in faults]


def contracts() -> list[str]:
    with (TOP / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def lint(tree: Path) -> tuple[set[str], str]:
    """The contracts that a copy of the tree breaks, and the whole report."""
    if not LINT_IMPORTS.exists():
        pytest.skip("import-linter is not installed beside this Python")
    done = subprocess.run(
        [str(LINT_IMPORTS), "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": f"{tree}/src:{tree}/src/native"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    found = {name for name in contracts() if f"{name} BROKEN" in done.stdout}
    assert (done.returncode != 0) == bool(found)
    return found, done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TOP / "src", tmp_path / "src", symlinks=True, ignore=ignore)
    shutil.copy(TOP / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_has_a_fault() -> None:
    assert sorted(FAULTS) == sorted(contracts())


def test_the_tree_keeps_them_all(tree: Path) -> None:
    broken, report = lint(tree)
    assert not broken, report


@pytest.mark.parametrize(("name", "module", "line"), CASES)
def test_a_planted_fault_is_seen(tree: Path, name: str, module: str, line: str) -> None:
    path = tree / "src" / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    broken, report = lint(tree)
    assert name in broken
    importer = module.removeprefix("native/").removesuffix(".py").replace("/", ".")
    assert f"{importer} -> {line.removeprefix('import ')}" in report
