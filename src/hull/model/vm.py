# SPDX-License-Identifier: MPL-2.0
"""The VM: every property that a payload may carry or the zone's record keeps, one row each.

Attribute names are the JSON's. A decoded VM is in canonical form (model/canonical.py): of two
spellings of one thing only the first is filled. "", (), {} and None mean unset.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hull.model import address
from hull.model.disk import BAD_COMPRESSION, BAD_RECSIZE, COMPRESSION, RECSIZES, Filesystem
from hull.model.guest import Guest
from hull.model.nic import Nic
from hull.model.prop import HVM, OS, Flat, Kind, Shown, prop

NOBODY = "00000000-0000-0000-0000-000000000000"
HOSTNAME = r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9_])?"
DOMAIN = r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?"


@dataclass(frozen=True, kw_only=True)
class VM(Guest):
    """A zone as it is configured; with the live state it makes a view (model/view.py)."""

    # -- identity ---------------------------------------------------------------------------------
    uuid: str = prop(Kind.UUID, "*:cr", "Identity of the VM.", default_doc="generated", width=36)
    zonename: str = prop(
        Kind.STRING, "*:cr", "Name of the zone: always the uuid.", default_doc="uuid", width=12
    )
    brand: str = prop(
        Kind.STRING,
        "*:cr",
        "How the zone boots: joyent, joyent-minimal, builder, lx, kvm, bhyve.",
        default="joyent",
        width=14,
    )
    v: int = prop(Kind.INTEGER, "*:r", "Version of the record.", default=1, minimum=0)
    alias: str = prop(
        Kind.STRING,
        "*:cru",
        "Name for people; need not be unique.",
        width=10,
        shown=Shown.SET,
        live=True,
    )
    owner_uuid: str = prop(
        Kind.STRING, "*:cru", "Whose VM it is.", default=NOBODY, width=36, live=True
    )
    billing_id: str = prop(
        Kind.STRING, "*:cru", "What it is charged to.", default=NOBODY, width=36, live=True
    )
    package_name: str = prop(
        Kind.STRING,
        "JMBLK:cru",
        "(deprecated) Package it was made from.",
        width=32,
        shown=Shown.SET,
        live=True,
    )
    package_version: str = prop(
        Kind.STRING,
        "JMBLK:cru",
        "(deprecated) Version of that package.",
        header="PACKAGE_VER",
        width=11,
        shown=Shown.SET,
        live=True,
    )
    create_timestamp: str = prop(
        Kind.STRING, "*:r", "When it was made, as ISO 8601 in UTC.", default_doc="now", width=24
    )
    do_not_inventory: bool = prop(
        Kind.BOOLEAN,
        "*:cru",
        "Tells management tools to leave the VM alone.",
        default=False,
        header="DNI",
        width=5,
        shown=Shown.SET,
        live=True,
    )
    autoboot: bool = prop(
        Kind.BOOLEAN,
        "*:cru",
        "Boot now and with the host. `vmadm start` turns it on, `vmadm stop` off.",
        default=True,
        width=8,
        live=True,
    )
    archive_on_delete: bool = prop(
        Kind.BOOLEAN,
        "*:cru",
        "Keep record and logs in /zones/archive, if that is there, when the VM is deleted.",
        default=False,
        shown=Shown.SET,
        live=True,
    )
    indestructible_zoneroot: bool = prop(
        Kind.BOOLEAN,
        "*:cru",
        "Refuse to delete or reprovision the VM.",
        default=False,
        header="INDESTR_ROOT",
        width=12,
        shown=Shown.SET,
        live=True,
    )
    indestructible_delegated: bool = prop(
        Kind.BOOLEAN,
        "*:cru",
        "Refuse to delete the delegated dataset.",
        default=False,
        header="INDESTR_DATA",
        width=12,
        shown=Shown.SET,
        live=True,
    )

    # -- image and storage ------------------------------------------------------------------------
    image_uuid: str = prop(
        Kind.UUID,
        "*:cr",
        "Image that the zone's root is cloned from; it must be installed.",
        required=f"{OS}:c",
        width=36,
        shown=Shown.SET,
    )
    dataset_uuid: str = prop(
        Kind.UUID,
        f"{OS}:cr",
        "(deprecated) Another name of image_uuid.",
        alias_of="image_uuid",
        shown=Shown.NEVER,
    )
    zone_dataset_uuid: str = prop(
        Kind.UUID, f"{HVM}:cr", "Image for the zone around the guest.", shown=Shown.NEVER
    )
    zpool: str = prop(
        Kind.ZPOOL, "*:cr", "Pool that holds the VM.", default="zones", choices=("zones",), width=12
    )
    zfs_storage_pool_name: str = prop(
        Kind.ZPOOL,
        "JMBLK:cr",
        "(deprecated) Another name of zpool.",
        alias_of="zpool",
        choices=("zones",),
        shown=Shown.NEVER,
    )
    zfs_filesystem: str = prop(
        Kind.STRING, "*:r", "Dataset of the zone: POOL/UUID.", default_doc="zpool/uuid"
    )
    quota: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Space the zone may use; 0: no limit.",
        default=10,
        default_doc="10 (bhyve 1)",
        minimum=0,
        unit="GiB",
        width=5,
        live=True,
    )
    zfs_root_compression: str = prop(
        Kind.STRING,
        "*:cru",
        "Compression of the zone's root.",
        default="off",
        choices=COMPRESSION,
        wrong=BAD_COMPRESSION,
        shown=Shown.SET,
        live=True,
    )
    zfs_root_recsize: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Record size of the root: a power of two; 0: the default. Stored for pools that have one.",
        default=131072,
        minimum=0,
        choices=(0, *RECSIZES),
        wrong=BAD_RECSIZE % "zfs_root_recsize",
        unit="bytes",
        live=True,
    )
    zfs_data_compression: str = prop(
        Kind.STRING,
        f"{OS}:cru",
        "Compression of the delegated dataset.",
        default="off",
        choices=COMPRESSION,
        wrong=BAD_COMPRESSION,
        shown=Shown.SET,
        live=True,
    )
    zfs_data_recsize: int | None = prop(
        Kind.INTEGER,
        f"{OS}:cru",
        "Record size of the delegated dataset: a power of two. Stored for pools that have one.",
        minimum=0,
        choices=(0, *RECSIZES),
        wrong=BAD_RECSIZE % "zfs_data_recsize",
        unit="bytes",
        shown=Shown.SET,
        live=True,
    )
    zfs_filesystem_limit: int | None = prop(
        Kind.INTEGER,
        "*:cru",
        "How many datasets the zone may make. Stored; no zone can make any.",
        default_doc="none",
        minimum=0,
        shown=Shown.SET,
        live=True,
    )
    zfs_snapshot_limit: int | None = prop(
        Kind.INTEGER,
        "*:cru",
        "How many snapshots of the zone there may be.",
        default_doc="none",
        minimum=0,
        shown=Shown.SET,
        live=True,
    )
    delegate_dataset: bool = prop(
        Kind.BOOLEAN,
        f"{OS}:cr",
        "Give the zone a dataset of its own, zones/UUID/data.",
        shown=Shown.NEVER,
    )
    datasets: tuple[str, ...] = prop(
        Kind.LIST, "*:r", "Datasets delegated to the zone.", shown=Shown.SET
    )
    filesystems: tuple[Filesystem, ...] = prop(
        Kind.OBJECT_ARRAY,
        f"{OS}:cr",
        "What else is mounted in the zone.",
        item=Filesystem,
        shown=Shown.SET,
    )
    fs_allowed: tuple[str, ...] = prop(
        Kind.LIST,
        f"{OS}:cru",
        "File system types that the zone may mount beside its own; the kernel decides.",
        joined=True,
        shown=Shown.SET,
    )

    # -- resources --------------------------------------------------------------------------------
    max_physical_memory: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Memory the zone may use.",
        default=256,
        minimum=0,
        unit="MiB",
        header="MAX_PHYS",
        width=8,
        live=True,
    )
    ram: int | None = prop(
        Kind.INTEGER,
        "*:cru",
        "Memory of the guest. For zones another name of max_physical_memory.",
        default_doc="256",
        minimum=0,
        unit="MiB",
        width=7,
        shown=Shown.SET,
        live=True,
    )
    max_locked_memory: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Memory the zone may lock; at most max_physical_memory.",
        default=256,
        default_doc="max_physical_memory",
        minimum=0,
        unit="MiB",
        header="MAX_LOCKED",
        width=10,
    )
    max_swap: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Virtual memory the zone may use; at least max_physical_memory.",
        default=256,
        default_doc="max(max_physical_memory,256)",
        minimum=256,
        unit="MiB",
        width=8,
        live=True,
    )
    max_shm_memory: int = prop(
        Kind.INTEGER,
        "*:cru",
        "System V shared memory the zone may use.",
        default=256,
        default_doc="max_physical_memory",
        minimum=0,
        unit="MiB",
    )
    tmpfs: int = prop(
        Kind.INTEGER,
        f"{OS}:cru",
        "Size of /tmp; 0: no tmpfs, from the next boot on.",
        default=256,
        default_doc="max_physical_memory",
        minimum=0,
        unit="MiB",
        width=5,
        live=True,
    )
    max_lwps: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Processes and threads the zone may have.",
        default=2000,
        minimum=0,
        header="MAX_LWP",
        width=7,
        live=True,
    )
    max_msg_ids: int = prop(
        Kind.INTEGER, "*:cru", "System V message queues.", default=4096, minimum=0
    )
    max_sem_ids: int = prop(
        Kind.INTEGER, "*:cru", "System V semaphore sets.", default=4096, minimum=0
    )
    max_shm_ids: int = prop(
        Kind.INTEGER, "*:cru", "System V shared memory segments.", default=4096, minimum=0
    )
    cpu_cap: int | None = prop(
        Kind.INTEGER,
        "*:cru",
        "Limit of CPU time; 100 is one CPU, 0 no limit.",
        minimum=0,
        unit="%",
        width=7,
        shown=Shown.SET,
        live=True,
    )
    cpu_shares: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Weight against other VMs when CPUs are short; at most 65535.",
        default=100,
        minimum=0,
        header="CPU_SHARE",
        width=9,
        live=True,
    )
    zfs_io_priority: int = prop(
        Kind.INTEGER,
        "*:cru",
        "Weight against other VMs when disks are short, if the disks' scheduler has weights.",
        default=100,
        minimum=0,
        header="IO_PRIORITY",
        width=11,
        live=True,
    )
    limit_priv: tuple[str, ...] = prop(
        Kind.LIST,
        "*:cru",
        "Privileges the zone may have: capabilities that stand for those taken away are gone.",
        default=["default"],
        joined=True,
    )

    # -- network ----------------------------------------------------------------------------------
    nics: tuple[Nic, ...] = prop(Kind.OBJECT_ARRAY, "*:cr", "Network interfaces.", item=Nic)
    hostname: str = prop(
        Kind.STRING,
        "*:cru",
        "Host name of the zone.",
        default_doc="zonename",
        pattern=HOSTNAME,
        width=32,
        shown=Shown.SET,
    )
    dns_domain: str = prop(
        Kind.STRING,
        f"{OS}:cru",
        "Domain in which host names are looked up.",
        default="local",
        pattern=DOMAIN,
        header="DOMAIN",
        width=32,
    )
    resolvers: tuple[str, ...] = prop(
        Kind.LIST,
        "*:cru",
        "Addresses of name servers.",
        default=[],
        check=address.check_ip,
        live=True,
    )
    maintain_resolvers: bool = prop(
        Kind.BOOLEAN,
        f"{OS}:cru",
        "Rewrite the zone's resolv.conf when resolvers change.",
        default=False,
        shown=Shown.SET,
        live=True,
    )
    routes: Mapping[str, str] = prop(
        Kind.FLAT_OBJECT, "*:cr", "Static routes: destination to gateway.", default={}
    )
    firewall_enabled: bool = prop(
        Kind.BOOLEAN,
        "*:cru",
        "Filter the zone's traffic by fwadm's rules.",
        default=False,
        width=16,
    )

    # -- metadata and boot ------------------------------------------------------------------------
    tags: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT, "*:cr", "Anything the operator wants to find VMs by.", default={}
    )
    customer_metadata: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT, "*:cr", "Keys that the zone may read and write.", default={}
    )
    internal_metadata: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT, "*:cr", "Keys for the operator's own use.", default={}
    )
    internal_metadata_namespaces: tuple[str, ...] = prop(
        Kind.LIST,
        "*:cru",
        "Prefixes NS: the zone may read internal_metadata's keys NS:*.",
        pattern=r"[A-Za-z0-9_.-]+",
        shown=Shown.SET,
        live=True,
    )
    init_name: str = prop(
        Kind.STRING,
        f"{OS}:cru",
        "Path of init in the zone.",
        default_doc="the brand's",
        pattern=r"/.+",
        shown=Shown.SET,
    )
    restart_init: bool = prop(
        Kind.BOOLEAN, f"{OS}:cru", "Start init again when it ends.", default=True, shown=Shown.SET
    )
    kernel_version: str = prop(
        Kind.STRING,
        "L:cru",
        "Linux kernel version to show; Hull's zones see the host's.",
        shown=Shown.SET,
    )
    mdata_exec_timeout: int = prop(
        Kind.INTEGER,
        f"{OS}:c",
        "How long user-script may take at the first boot; 0: no limit.",
        default=300,
        minimum=0,
        unit="s",
        shown=Shown.NEVER,
    )
    nowait: bool = prop(
        Kind.BOOLEAN, f"{OS}:cr", "Do not wait for the first boot to end.", shown=Shown.NEVER
    )
    docker: bool = prop(
        Kind.BOOLEAN,
        "ML:cru",
        "The VM is a Docker container.",
        default=False,
        width=6,
        shown=Shown.SET,
    )
    zlog_max_size: int | None = prop(
        Kind.INTEGER,
        f"{OS}:cru",
        "Size at which a Docker container's log is rotated.",
        minimum=0,
        maximum=(1 << 63) - 1,
        unit="bytes",
        shown=Shown.SET,
    )
    create_only: bool = prop(
        Kind.BOOLEAN, "*:r", "Internal: receive in two steps.", shown=Shown.NEVER
    )
    transition: Mapping[str, Flat] = prop(
        Kind.FLAT_OBJECT, "*:r", "Internal: a stop or reboot on its way.", shown=Shown.NEVER
    )
