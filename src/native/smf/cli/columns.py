# SPDX-License-Identifier: MPL-2.0
"""The columns of svcs, their order on the screen, and the order of the rows. One row a column."""

import time
from collections.abc import Callable

from smf import states, view
from smf.cli.text import clean, short_time
from smf.errors import SmfError
from smf.fmri import instance_of, name_of
from smf.view import Instance

DEFAULT = ("STATE", "STIME", "FMRI")
VERBOSE = ("STATE", "NSTATE", "STIME", "CTID", "FMRI")
DEFAULT_ORDER = ("STATE", "STIME", "FMRI")
_UNKNOWN = ("?", "?", 7)
# With one of these beside it, a state needs no star to say that it is changing.
NEXT = frozenset(("NSTATE", "NSTA", "N", "SN"))


class Table:
    """What is shown, and how."""

    __slots__ = ("columns", "now", "star", "zone")

    def __init__(self, columns: list[str], zone: str) -> None:
        """`columns`: as the user wrote them. SmfError, naming the one that there is not."""
        self.columns = [known(name) for name in columns]
        self.star = not NEXT.intersection(self.columns)
        self.zone = zone
        self.now = time.time()

    def header(self) -> str:
        return self._line(list(self.columns), header=True)

    def row(self, instance: Instance) -> str:
        return self._line([COLUMNS[name][1](self, instance) for name in self.columns])

    def _line(self, fields: list[str], *, header: bool = False) -> str:
        padded = [
            field.rjust(COLUMNS[name][0])
            if name == "CTID" and not header
            else field.ljust(COLUMNS[name][0])
            for name, field in zip(self.columns, fields, strict=True)
        ]
        return " ".join(padded).rstrip()

    def mark(self, instance: Instance) -> str:
        """The star of an instance on its way to another state."""
        return "*" if self.star and instance.next_state else ""


def known(name: str) -> str:
    """A column's name as it is printed. SmfError."""
    upper = name.strip().upper()
    if upper not in COLUMNS:
        names = ", ".join(COLUMNS)
        raise SmfError(f'there is no column "{clean(name)}"; there are {names}')
    return upper


def needs_names(columns: list[str]) -> bool:
    """Whether the common names are to be read for these columns."""
    return any(known(name) == "DESC" for name in columns)


def arrange(rows: list[Instance], keys: list[tuple[str, bool]]) -> list[Instance]:
    """Sort by columns; each key is (column, whether the other way round). Stable."""
    arranged = list(rows)
    for name, reverse in reversed(keys):
        arranged.sort(key=COLUMNS[known(name)][2], reverse=reverse)
    return arranged


def _short(state: str) -> str:
    return states.SHOWN.get(state, _UNKNOWN)[0] if state else "-"


def _letter(state: str) -> str:
    return states.SHOWN.get(state, _UNKNOWN)[1] if state else "-"


def _rank(state: str) -> int:
    return states.SHOWN.get(state, _UNKNOWN)[2]


def _by_state(instance: Instance) -> int:
    return _rank(instance.state)


def _by_next(instance: Instance) -> int:
    return _rank(instance.next_state)


def _state(table: Table, instance: Instance) -> str:
    return clean(instance.state or "-") + table.mark(instance)


def _contracts(table: Table, instance: Instance) -> str:
    del table
    found = instance.contracts
    if not found:
        return "-"
    return found[0] + ("*" if len(found) > 1 else "")


def _contract(instance: Instance) -> int:
    return int(instance.contracts[0]) if instance.contracts else -1


def _service(instance: Instance) -> str:
    return instance.fmri if instance.state == states.LEGACY else name_of(instance.fmri)


def _instance(instance: Instance) -> str:
    return "-" if instance.state == states.LEGACY else instance_of(instance.fmri)


def _described(_: object, instance: Instance) -> str:
    return clean(view.common_name(instance.running)) or "-"


Show = Callable[[Table, Instance], str]
Key = Callable[[Instance], int | str]
# name: (width, what is shown, what it is sorted by)
COLUMNS: dict[str, tuple[int, Show, Key]] = {
    "STATE": (14, _state, _by_state),
    "NSTATE": (13, lambda _, i: clean(i.next_state or "-"), _by_next),
    "STA": (4, lambda t, i: _short(i.state) + t.mark(i), _by_state),
    "NSTA": (4, lambda _, i: _short(i.next_state), _by_next),
    "S": (2, lambda t, i: _letter(i.state) + t.mark(i), _by_state),
    "N": (1, lambda _, i: _letter(i.next_state), _by_next),
    "SN": (2, lambda _, i: _letter(i.state) + _letter(i.next_state), _by_state),
    "CTID": (6, _contracts, _contract),
    "STIME": (8, lambda t, i: short_time(i.since, t.now), lambda i: i.since or -1),
    "FMRI": (50, lambda _, i: clean(i.fmri), lambda i: i.fmri),
    "SVC": (20, lambda _, i: clean(_service(i)), _service),
    "INST": (20, lambda _, i: clean(_instance(i)), _instance),
    "SCOPE": (20, lambda _, i: "-" if i.state == states.LEGACY else "localhost", lambda i: i.fmri),
    "DESC": (100, _described, lambda i: view.common_name(i.running)),
    "ZONE": (16, lambda t, _: t.zone, lambda _: ""),
}
