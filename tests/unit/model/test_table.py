# SPDX-License-Identifier: MPL-2.0
"""The property table against the facts: every property of SmartOS, once, as SmartOS has it."""

import ast
import json
import re
from pathlib import Path

import pytest

from hull.model.columns import COLUMNS
from hull.model.forms import Update
from hull.model.prop import BRANDS, Kind, Prop, grants, rows
from hull.model.table import table

ROOT = Path(__file__).parents[3]
FACTS = (ROOT / "tests/data/model/properties.txt").read_text().splitlines()
ROWS = [line.split("|") for line in FACTS if not line.startswith("#")]


def allowed(compact: str) -> dict[str, set[str]]:
    """Brand letter -> actions, however the compact form groups them."""
    found: dict[str, set[str]] = {}
    for letters, actions in grants(compact).items():
        for letter in letters:
            found.setdefault(letter, set()).update(actions)
    return found


def type_of(row: Prop) -> str:
    text = str(row.kind)
    if row.minimum is not None:
        text += f" ≥{row.minimum}"
    if row.maximum is not None:
        text += " ≤2^63-1" if row.maximum == 2**63 - 1 else f" ≤{row.maximum}"
    return text


def default_of(row: Prop) -> str:
    if row.default_doc:
        return row.default_doc
    if row.kind is Kind.LIST and row.default:
        return ",".join(row.initial)
    return row.default if isinstance(row.default, str) else json.dumps(row.default)


def test_every_property_is_there_once() -> None:
    assert sorted(table()) == sorted(name for name, *_ in ROWS)


@pytest.mark.parametrize(("name", "kind", "may", "default", "column"), ROWS)
def test_row(name: str, kind: str, may: str, default: str, column: str) -> None:
    row = table()[name]
    if kind != "-":
        assert type_of(row) == kind
    assert allowed(row.allowed) == allowed(may)
    assert (row.allowed == "ro") == (may == "ro")
    if default:
        assert default_of(row) == default
    assert COLUMNS.get(name) == (
        (column.split(":")[0], int(column.split(":")[1])) if column else None
    )
    assert row.doc.endswith(".")


def test_only_existing_brands_and_actions_are_granted() -> None:
    for name, row in table().items():
        for letters, actions in [*grants(row.allowed).items(), *grants(row.required).items()]:
            assert set(letters) <= set(BRANDS.values()), name
            assert set(actions) <= set("crua"), name


def listed_names(tree: ast.AST) -> list[int]:
    """How many payload properties each list-like literal of a module names."""
    settable = {name for name, row in table().items() if row.allowed != "ro"}
    counts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            members = node.elts
        elif isinstance(node, ast.Dict):
            members = [key for key in node.keys if key is not None]
        else:
            continue
        names = {each.value for each in members if isinstance(each, ast.Constant)}
        counts.append(len(names & settable))
    return counts


def outside_the_model() -> list[Path]:
    model = ROOT / "src/hull/model"
    others = [path for path in (ROOT / "src/hull").rglob("*.py") if path.parent != model]
    assert others
    return others


# zonecfg has names of its own for properties; each stands beside the VM's once.
TRANSLATES = {"zonecfg_vm.py"}


def test_nothing_else_lists_properties() -> None:
    for path in outside_the_model():
        if path.name in TRANSLATES:
            continue
        assert max(listed_names(ast.parse(path.read_text())), default=0) < 8, path


def test_a_list_of_properties_is_seen() -> None:
    tree = ast.parse(
        'COLUMNS = ["uuid", "alias", "ram", "quota", "nics", "tags", "tmpfs", "brand"]'
    )
    assert listed_names(tree) == [8]


# Kept for people and tools; Hull itself has nothing to do about them.
ONLY_KEPT = {
    "v", "owner_uuid", "billing_id", "package_name", "package_version", "create_timestamp",
    "do_not_inventory", "zfs_filesystem", "kernel_version", "tags", "nics.*.network_uuid",
    # Steps of a receive on SmartOS; Hull's receive reads the record itself.
    "create_only", "transition",
}  # fmt: skip  # a list of words
# Read as something else: model/canonical.py and model/nics.py turn them into it.
FOLDED = {
    "ram", "dataset_uuid", "zfs_storage_pool_name", "nics.*.ip", "nics.*.netmask",
    "nics.*.gateway", "nics.*.dhcp_server",
}  # fmt: skip  # a list of words
# Accepted, but not applied yet: this may only shrink.
PENDING = {
    "firewall_enabled", "fs_allowed", "zfs_data_recsize", "zfs_filesystem_limit",
    "zfs_root_recsize", "zlog_max_size",
}  # fmt: skip  # a list of words


def is_read(name: str, source: str) -> bool:
    """Whether code outside the model asks for the property by name."""
    member = name.rpartition(".")[2]
    return re.search(rf"\.{member}\b|[\"']{member}[\"']", source) is not None


def test_nothing_is_accepted_and_then_ignored() -> None:
    source = "\n".join(path.read_text() for path in outside_the_model())
    forms = rows(Update)
    accepted = {
        name
        for name, row in table().items()
        if row.acted and row.allowed != "ro" and name not in forms
    }
    ignored = {name for name in accepted if not is_read(name, source)}
    assert ignored - ONLY_KEPT - FOLDED <= PENDING
