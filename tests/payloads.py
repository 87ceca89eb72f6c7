# SPDX-License-Identifier: MPL-2.0
"""Random payloads for create and update: good properties, unknown ones, and anything at all."""

from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hull.model.prop import BRANDS, OS, Kind, Prop, rows
from hull.model.table import payload_rows
from hull.model.vm import VM
from hull.wire import Json, JsonObject

MANY = settings(
    max_examples=2000,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
IMAGE = "398deede-c025-11e3-8b24-f3ba141900bd"
A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"

# -- anything -----------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["10.0.0.5", "10.0.0.5/24", "::1/0", A, "dhcp", "nics[0]", IMAGE, "\ud800"]),
)  # fmt: skip  # two lines of leaves
MEMBERS = sorted(set().union(*(rows(row.item) for row in rows(VM).values() if row.item)))
ANY: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=4), inner, max_size=3),
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(sorted(payload_rows())) | st.text(max_size=6)
JUNK: st.SearchStrategy[dict[str, Any]] = st.dictionaries(NAMES, ANY, max_size=3)
JUNK_TOO = st.tuples(JUNK, st.just(value=False))
UNKNOWN: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.text(max_size=6).filter(lambda name: name not in payload_rows()), ANY, max_size=2
)

# -- what must be accepted ------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=12)
FLAT: st.SearchStrategy[Any] = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.integers() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=8),
    max_size=3,
)
ROUTES: st.SearchStrategy[Any] = st.dictionaries(
    st.builds("10.{}.0.0/16".format, st.integers(0, 255)), st.just("10.0.0.1"), max_size=3
)
ADDRESSES = st.builds("10.{}.0.{}/24".format, st.integers(0, 255), st.integers(1, 254))
NIC: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"nic_tag": st.sampled_from(["admin", "external"])},
    optional={
        "ips": st.lists(ADDRESSES | st.sampled_from(["dhcp", "addrconf"]), max_size=1),
        "primary": st.just(value=True),
        "vlan_id": st.integers(1, 4094),
        "mtu": st.integers(576, 9000),
        "network_uuid": st.just(IMAGE),
        "allowed_ips": st.lists(ADDRESSES, max_size=3),
        "allow_ip_spoofing": st.just(value=True),
        "allowed_dhcp_cids": st.lists(st.sampled_from(["0x01", "0xabCD"]), min_size=1, max_size=3),
        "blocked_outgoing_ports": st.lists(st.integers(1, 65535).map(str), min_size=1, max_size=3),
    },
)
FILESYSTEM: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "source": st.builds("/{}".format, WORDS),
        "target": st.builds("/{}".format, WORDS),
        "type": st.just("lofs"),
        "options": st.lists(WORDS, max_size=2),
    },
    optional={"raw": st.just("/dev/dsk/x")},
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "brand": st.sampled_from([brand for brand, letter in BRANDS.items() if letter in OS]),
    "hostname": st.sampled_from(["a", "web-1", "a.b"]),
    "dns_domain": st.sampled_from(["a", "example.com"]),
    "init_name": st.just("/sbin/init"),
    "resolvers": st.sampled_from([[], ["8.8.8.8"], ["8.8.8.8", "::2"]]),
    "internal_metadata_namespaces": st.sampled_from([[], ["a"], ["a", "b"]]),
    "limit_priv": st.sampled_from([["default"], ["default", "-proc_fork"]]),
    "cpu_cap": st.integers(1, 10000),
    "cpu_shares": st.integers(0, 65535),
    "max_physical_memory": st.integers(16, 1 << 20),
    "max_lwps": st.integers(16, 1 << 20),
    "zpool": st.just("zones"),
    "routes": ROUTES,
    "set_routes": ROUTES,
    "nics": st.lists(NIC, max_size=1),
    "add_nics": st.lists(NIC, max_size=1),
    "filesystems": st.lists(FILESYSTEM, max_size=1),
    "add_filesystems": st.lists(FILESYSTEM, max_size=1),
    "remove_nics": st.sampled_from([[], [B]]),
    "update_nics": st.sampled_from([[], [{"mac": A, "mtu": 1400}]]),
}
# Other names, what Hull fills in, what follows from others; and what is tried with good forms only.
LEFT_OUT = {"zonename", "ram", "dataset_uuid", "zfs_storage_pool_name", "update_filesystems"}
# Never shown, or moved by the rules between properties.
NOT_READ_BACK = {
    "image_uuid", "max_locked_memory", "max_swap", "tmpfs", "zfs_data_recsize", "delegate_dataset",
    "zfs_data_compression", "indestructible_delegated", "restart_init", "mdata_exec_timeout",
    "internal_metadata_namespaces", "nowait",
}  # fmt: skip  # a list of words


def good(name: str, row: Prop) -> st.SearchStrategy[Any]:
    """Values of a property that any OS brand must take, as `vmadm get` would print them."""
    if name in GOOD:
        return GOOD[name]
    match row.kind:
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.INTEGER if row.choices:
            return st.sampled_from([choice for choice in row.choices if choice])
        case Kind.INTEGER:
            return st.integers(row.minimum, min(row.largest, 1 << 53))
        case Kind.UUID:
            return st.uuids().map(str)
        case Kind.LIST:
            return st.lists(WORDS, max_size=3)
        case Kind.FLAT_OBJECT:
            return FLAT
        case _:
            return st.sampled_from(row.choices) if row.choices else WORDS


class Sent(NamedTuple):
    payload: JsonObject
    good: JsonObject  # the part of it that must be taken if any is
    must: bool  # nothing else is in it that counts


def mixed(action: str, **always: Json) -> st.SearchStrategy[Sent]:
    """Some good properties, some unknown ones, and at times anything."""
    table = {
        name: row
        for name, row in payload_rows().items()
        if all(row.allows(letter, action) for letter in OS) and name not in LEFT_OUT
    }
    names = st.lists(st.sampled_from(sorted(table)), max_size=6, unique=True)
    goods = names.flatmap(lambda some: st.fixed_dictionaries({n: good(n, table[n]) for n in some}))
    junk = st.one_of(*(st.tuples(UNKNOWN, st.just(value=True)) for _ in range(3)), JUNK_TOO)
    return st.builds(lambda a, b: Sent({**b[0], **a, **always}, a, b[1]), goods, junk)
