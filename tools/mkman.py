# SPDX-License-Identifier: MPL-2.0
"""Write docs/man/vmadm-properties.8.md from the property table: `python tools/mkman.py`.

tests/unit/model/test_man.py fails when the page and the table differ.
"""

import json
from pathlib import Path

from hull.model.prop import BRANDS, HVM, OS, SUPPORTED, Prop, grants
from hull.model.table import table

PAGE = Path(__file__).parents[1] / "docs/man/vmadm-properties.8.md"

HEAD = """\
# vmadm-properties(8) -- the properties of a VM

<!-- Made by tools/mkman.py from src/hull/model. Change the row there, then run it again. -->

## DESCRIPTION

The JSON that `vmadm create` and `vmadm update` read is made of these properties; `vmadm get` prints
them. Below each property:

* **Type**, with limits. A boolean may also be written "true" or "false", an integer as a string, a
  list as "one,two". `null` and `""` unset strings and integers: the default is then in force.
* **Payloads** that may set it: create, receive, update. Members of an element (`nics.*.ip`) are set
  when it is added, by `nics` and `add_nics`, or changed, by `update_nics`.
* **Brands** of VM that have it, where these are not all: joyent, joyent-minimal, builder, lx, kvm,
  bhyve.
* **Column** of `vmadm list -o`, where it is one.

Unknown properties, and those that are not for the brand or for the payload, are ignored with a
warning. The brands {later} are not supported yet; what only they have is marked.

## PROPERTIES
"""

VERBS = {"c": "create", "r": "receive", "u": "update", "a": "add"}


def page() -> str:
    """The whole page."""
    later = [brand for brand, letter in BRANDS.items() if letter not in SUPPORTED]
    text = HEAD.format(later=f"{', '.join(later[:-1])} and {later[-1]}")
    return text + "".join(section(name, row) for name, row in sorted(table().items()))


def section(name: str, row: Prop) -> str:
    """One property."""
    doc = row.doc if row.acted else f"{row.doc} *Not supported yet.*"
    facts = {
        "Type": type_of(row),
        "Default": default_of(row),
        "Payloads": payloads_of(row),
        "Brands": brands_of(row),
        "Update": update_of(row),
        "Column": f"{row.header or name.upper()}, {row.width} wide" if row.width else "",
    }
    lines = [f"* {title}: {text}" for title, text in facts.items() if text]
    return f"\n### {name}\n\n{doc}\n\n" + "\n".join(lines) + "\n"


def type_of(row: Prop) -> str:
    """Type, unit and limits."""
    limits = [str(row.kind)]
    if row.unit:
        limits.append(f"in {row.unit}")
    if row.minimum is not None:
        limits.append(f"at least {row.minimum}")
    if row.maximum is not None:
        limits.append(f"at most {row.maximum}")
    if row.choices:
        limits.append("one of " + " ".join(map(str, row.choices)))
    return ", ".join(limits)


def default_of(row: Prop) -> str:
    """The default, or where it comes from."""
    if row.default_doc or row.default is None:
        return row.default_doc
    return json.dumps(row.initial)


def payloads_of(row: Prop) -> str:
    """Who may set it; brands are named where they differ."""
    if not grants(row.allowed):
        return "none; it is only printed"
    parts = []
    for letters, actions in grants(row.allowed).items():
        verbs = ", ".join(VERBS[each] for each in actions)
        parts.append(verbs if len(grants(row.allowed)) == 1 else f"{names(letters)}: {verbs}")
    required = "; required" if row.required else ""
    return "; ".join(parts) + required


def brands_of(row: Prop) -> str:
    """The brands, where these are not all."""
    letters = "".join(grants(row.allowed))
    return "" if set(letters) in (set(), set(OS + HVM)) else names(letters)


def update_of(row: Prop) -> str:
    """When a change takes effect."""
    if not row.acted or not any("u" in actions for actions in grants(row.allowed).values()):
        return ""
    return "takes effect at once" if row.live else "takes effect at the next boot"


def names(letters: str) -> str:
    """JL -> joyent, lx"""
    return ", ".join(brand for brand, letter in BRANDS.items() if letter in letters)


if __name__ == "__main__":
    PAGE.write_text(page())
