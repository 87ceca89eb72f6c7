# SPDX-License-Identifier: MPL-2.0
"""limit_priv: illumos's privileges, and what they mean for a process in a zone on Linux.

A capability stays only if every privilege that it stands for does: what is taken away is surely
gone, and something may go with it. Capabilities hold for what belongs to the zone's user namespace.
"""

from collections.abc import Iterable, Iterator

# The capabilities of a zone, with the privileges that each needs; none: it cannot be taken away.
CAPABILITIES: dict[str, tuple[str, ...]] = {
    "CAP_CHOWN": ("file_chown",),
    "CAP_DAC_OVERRIDE": ("file_dac_execute", "file_dac_read", "file_dac_write", "file_dac_search"),
    "CAP_DAC_READ_SEARCH": ("file_dac_read", "file_dac_search"),
    "CAP_FOWNER": ("file_owner",),
    "CAP_FSETID": ("file_setid",),
    "CAP_SETFCAP": ("file_setid",),
    "CAP_SETUID": ("proc_setid",),
    "CAP_SETGID": ("proc_setid",),
    "CAP_SETPCAP": (),
    "CAP_KILL": ("proc_owner",),
    "CAP_SYS_PTRACE": ("proc_owner",),
    "CAP_SYS_CHROOT": ("proc_chroot",),
    "CAP_SYS_NICE": ("proc_owner",),
    "CAP_SYS_ADMIN": ("sys_admin", "sys_mount"),
    "CAP_SYS_BOOT": ("sys_admin",),
    "CAP_IPC_OWNER": ("ipc_dac_read", "ipc_dac_write", "ipc_owner"),
    "CAP_LEASE": ("file_owner",),
    "CAP_AUDIT_WRITE": ("proc_audit",),
    "CAP_NET_BIND_SERVICE": ("net_privaddr",),
    "CAP_NET_BROADCAST": ("net_rawaccess",),
    "CAP_NET_RAW": ("net_icmpaccess", "net_rawaccess"),
    "CAP_NET_ADMIN": ("sys_ip_config", "sys_iptun_config"),
}
DEFAULT = frozenset((
    "contract_event", "contract_identity", "contract_observer", "file_chown", "file_chown_self",
    "file_dac_execute", "file_dac_read", "file_dac_search", "file_dac_write", "file_link_any",
    "file_owner", "file_read", "file_setid", "file_write", "ipc_dac_read", "ipc_dac_write",
    "ipc_owner", "net_access", "net_bindmlp", "net_icmpaccess", "net_mac_aware",
    "net_observability", "net_privaddr", "net_rawaccess", "proc_audit", "proc_chroot", "proc_exec",
    "proc_fork", "proc_info", "proc_lock_memory", "proc_owner", "proc_secflags", "proc_session",
    "proc_setid", "proc_taskid", "sys_acct", "sys_admin", "sys_audit", "sys_ip_config",
    "sys_iptun_config", "sys_mount", "sys_nfs", "sys_ppp_config", "sys_resource",
))  # fmt: skip
# A zone may be given these, too. On Linux they change nothing.
OPTIONAL = frozenset((
    "cpc_cpu", "dtrace_proc", "dtrace_user", "file_flag_set", "graphics_access", "graphics_map",
    "hyprlofs_control", "net_mac_implicit", "proc_clock_highres", "proc_mon", "proc_priocntl",
    "proc_prioup", "sys_fs_import", "sys_ipc_config", "sys_time",
))  # fmt: skip
PROHIBITED = frozenset((
    "dtrace_kernel", "file_downgrade_sl", "file_upgrade_sl", "proc_zone", "sys_config",
    "sys_devices", "sys_dl_config", "sys_flow_config", "sys_linkdir", "sys_net_config",
    "sys_res_bind", "sys_res_config", "sys_smb", "sys_suser_compat", "sys_trans_label",
    "virt_manage", "win_colormap", "win_config", "xvm_control",
))  # fmt: skip
REQUIRED = frozenset(("proc_exec", "proc_fork", "sys_mount"))
BASIC = frozenset((
    "file_link_any", "file_read", "file_write", "net_access", "proc_exec", "proc_fork", "proc_info",
    "proc_secflags", "proc_session",
))  # fmt: skip
KNOWN = DEFAULT | OPTIONAL | PROHIBITED
SETS = {"default": DEFAULT, "basic": BASIC, "zone": DEFAULT, "all": KNOWN, "none": frozenset[str]()}


def privileges(limit_priv: Iterable[str]) -> frozenset[str]:
    """The privileges that a list of tokens leaves: `default`, `-x` or `!x` without x, `x` or `+x`
    with it, in that order. Unknown ones are as if unsaid. The empty list is the default.
    """
    left: frozenset[str] = frozenset()
    tokens = [token.strip() for token in limit_priv if token.strip()] or ["default"]
    for token in tokens:
        name = token.lstrip("+-!")
        meant = SETS.get(name, frozenset((name,)) & KNOWN)
        left = left - meant if token[0] in "-!" else left | meant
    return left


def capabilities(limit_priv: Iterable[str]) -> tuple[str, ...]:
    """The most that a process of the zone can have."""
    left = privileges(limit_priv)
    return tuple(name for name, needed in CAPABILITIES.items() if left.issuperset(needed))


def problems(limit_priv: Iterable[str]) -> Iterator[str]:
    """What is wrong with limit_priv, in zonecfg's words."""
    tokens = [token.strip() for token in limit_priv]
    for token in tokens:
        name = token.lstrip("+-!")
        if name not in KNOWN and name not in SETS:
            yield f'privilege "{name}" is unknown'
    left = privileges(tokens)
    for name in sorted(left & PROHIBITED):
        yield f'privilege "{name}" is not permitted within the zone\'s privilege set'
    for name in sorted(REQUIRED - left):
        yield f'required privilege "{name}" is missing from the zone\'s privilege set'
