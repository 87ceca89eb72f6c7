# SPDX-License-Identifier: MPL-2.0
"""The attack table: what is tried from inside a zone, which walls stop it, and what then is seen.

Each wall of an attack stops it by itself, and without all of them it works: test_attacks.py shows
both, for both kinds of zone. Attacks that need more than one zone, or the host's part in them, are
in the modules that ELSEWHERE names. docs/security.md is made of both, by document.py.
"""

from dataclasses import dataclass

# The isolation checklist.
ROWS = {
    1: "user ids", 2: "nested user namespaces", 3: "capabilities", 4: "set-user-id programs",
    5: "system calls", 6: "/proc", 7: "/sys", 8: "devices", 9: "the kernel's log", 10: "clock",
    11: "keyrings", 12: "tracing across zones", 13: "signals", 14: "messages and shared memory",
    15: "host names", 16: "control groups", 17: "mounts", 18: "files that the host handles",
    19: "network", 20: "BPF and perf", 21: "core dumps", 22: "kernel modules",
    23: "entropy and hardware registers", 24: "side channels", 25: "inodes of an image",
    26: "programs of the host's", 27: "events of devices", 28: "exhaustion", 29: "identity",
    30: "what the global zone sees",
}  # fmt: skip
# Nothing that a zone could do.
NOT_APPLICABLE = {
    30: "a promise to the operator, not a wall: the host's root sees every process of every zone",
}
# Modules and tests beside the table.
ELSEWHERE = {
    1: (
        "isolation/test_neighbours.py::test_their_ids_are_apart",
        "isolation/test_neighbours.py::test_a_zones_users_files_are_out_of_reach_of_the_machines",
    ),
    2: ("integration/test_zone_namespace.py::test_a_user_namespace_belongs_to_its_own_root",),
    4: ("isolation/test_neighbours.py::test_a_set_user_id_program_of_a_zone_is_none_outside",),
    11: ("isolation/test_entry.py::test_the_operators_keys_stay_outside",),
    12: ("isolation/test_entry.py::test_who_enters_is_the_hosts_until_he_is_the_zones",),
    14: ("isolation/test_neighbours.py::test_sockets_without_a_file_are_each_zones_own",),
    17: ("isolation/test_entry.py::test_no_file_of_the_hosts_is_open_in_a_zone",),
    18: (
        "isolation/test_paths.py",
        "isolation/test_odd_files.py",
        "isolation/test_neighbours.py::test_sockets_of_others_are_out_of_reach",
        "isolation/test_neighbours.py::test_the_pools_own_trees_are_the_hosts",
    ),
    19: ("isolation/test_network.py", "integration/test_net_protection.py"),
    21: ("isolation/test_neighbours.py::test_a_core_stays_in_the_zone",),
    25: (
        "isolation/test_neighbours.py::test_locks_on_an_images_files_are_each_zones_own",
        "isolation/test_neighbours.py::test_nobody_sees_what_others_do_to_an_images_files",
    ),
    26: ("isolation/test_entry.py::test_the_hosts_programs_are_not_overwritten",),
    27: ("isolation/test_neighbours.py::test_no_zone_hears_of_devices",),
    28: ("isolation/test_exhaustion.py", "integration/test_daemon_metadatad.py"),
    29: (
        "isolation/test_neighbours.py::test_each_boot_has_an_id_of_its_own",
        "isolation/test_neighbours.py::test_an_lx_zone_is_a_machine_of_its_own",
    ),
}

SEEN = "something"
REFUSED = "EPERM EACCES EROFS"
FAMILY = "EAFNOSUPPORT"


@dataclass(frozen=True)
class Case:
    """Attacks that the same walls stop in the same way. Words are separated by blanks."""

    attacks: str
    walls: str  # separated by commas
    defended: str  # what is seen where one of them stands
    works: str  # what is seen where none does
    absent: str = ""  # what is seen then on a kernel that has no such thing
    rare: bool = False  # Debian's kernel has it, and loads it for nobody
    only: str = ""  # `v1`: of cgroup v1 alone

    @property
    def names(self) -> list[str]:
        return self.attacks.split()

    @property
    def wall_names(self) -> frozenset[str]:
        return frozenset(name.strip() for name in self.walls.split(","))


ROOT = "userns, capabilities"  # of the machine's root, and not taken away
KERNEL = f"seccomp, {ROOT}"

TABLE = (
    # -- the kernel ---------------------------------------------------------------------------
    Case(
        "kexec_load kexec_file_load", "seccomp, userns", "EPERM", "done EBADF EINVAL", "ENOSYS"
    ),
    Case("init_module finit_module", KERNEL, "EPERM", "ENOEXEC EBADF", "ENOSYS"),
    Case("delete_module", KERNEL, "EPERM", "ENOENT", "ENOSYS"),
    Case("dmesg acct", KERNEL, "EPERM", "done"),
    Case("swapon swapoff", "seccomp, userns", "EPERM", "ENOENT"),
    Case("swapoff32", "seccomp, userns", "EPERM", "EFAULT"),
    Case("iopl ioperm", KERNEL, "EPERM", "done", "ENOSYS"),
    Case("clock_settime settimeofday", KERNEL, "EPERM", "done"),
    Case("adjtimex", ROOT, "EPERM", "done"),
    Case("bpf", "seccomp, userns", "EPERM", "done"),
    Case("perf_event_open", "seccomp, userns", "EPERM EACCES", "done"),
    Case("open_by_handle_at", "seccomp, userns", "EPERM", "done"),
    # No kernel of Debian's has this door: ENOSYS is the kernel's answer, not the filter's.
    Case("bpf_x32 kexec_load_x32", "seccomp", "EPERM", "done EINVAL ENOSYS"),
    Case("add_key keyctl keyctl32", "seccomp", "EPERM", "done"),
    Case("request_key", "seccomp", "EPERM", "ENOKEY"),
    Case("quotactl modify_ldt userfaultfd io_uring_setup", "seccomp", "EPERM", "done"),
    Case("merge_memory merge_all_memory", "seccomp", "EINVAL", "done", "EINVAL"),
    Case("socketcall32", "seccomp", "ENOSYS", "EFAULT"),
    # The namespace itself allows none below it: that wall goes with the namespace.
    Case("unshare_user unshare_user32 clone_user", "seccomp, userns", "EPERM ENOSPC", "done"),
    Case("clone3_user", "seccomp, userns", "ENOSYS ENOSPC", "done"),
    Case("reboot", "pidns, userns", "EINVAL EPERM", "done"),
    # -- who one is ---------------------------------------------------------------------------
    Case("user_outside file_outside", "userns", "EINVAL", "done"),
    Case("ids_of_the_zone", "userns", "somebody", "root"),
    Case("more_capabilities", "capabilities", "EPERM", "done"),
    Case("file_capability", "capabilities", "EPERM", "done"),
    Case("immutable_file", ROOT, "EPERM", "done"),
    Case("trusted_attribute", "userns", "EPERM", "done"),
    Case("entropy", "userns", "EPERM", "done"),
    Case("negative_nice realtime_io", "userns", "EPERM EACCES", "done"),
    # -- devices ------------------------------------------------------------------------------
    Case("make_node kmsg_node", f"{ROOT}, device cgroup", "EPERM", "done"),
    Case("msr_node", f"{ROOT}, device cgroup", "EPERM", "done ENXIO"),
    Case("image_node bound_node", "userns, device cgroup", REFUSED, "done"),
    Case("shared_node", "nodev, device cgroup", REFUSED, "done"),
    Case("mount_devtmpfs", "userns", "EPERM", "done"),
    # -- /proc and /sys -----------------------------------------------------------------------
    Case(
        "see:/proc/cmdline see:/proc/diskstats see:/proc/interrupts "
        "see:/proc/partitions see:/sys/class/block see:/sys/dev/block see:/sys/fs/ext4 "
        "see:/sys/kernel/vmcoreinfo see:/sys/power",
        "masks", "nothing ENOENT", SEEN, "ENOENT",
    ),
    Case(
        "read:/proc/vmallocinfo read:/proc/slabinfo read:/proc/vmallocinfo:uncovered "
        "read:/proc/slabinfo:uncovered read:/proc/timer_list:uncovered",
        "userns", "EACCES", SEEN, "ENOENT",
    ),
    Case("read:/proc/timer_list", "masks, userns", "EACCES nothing", SEEN),
    Case("read:/proc/kcore", f"masks, {ROOT}", "EACCES EPERM nothing", SEEN, "ENOENT"),
    Case("read:/proc/kcore:uncovered", ROOT, "EACCES EPERM nothing", SEEN, "ENOENT"),
    Case("kernel_addresses", ROOT, "nothing", SEEN),
    Case(
        "set_core_pattern set_overcommit set_panic set_poweroff_cmd set_ksm",
        "readonly, userns", REFUSED, "done",
    ),
    Case("set_modprobe", "readonly, userns", REFUSED, "done", "ENOENT"),
    Case("sysrq", "masks, userns", "EACCES covered", "done", "ENOENT"),
    Case(
        "set_core_pattern_bare set_overcommit_bare set_panic_bare set_poweroff_cmd_bare "
        "set_ksm_bare",
        "userns", REFUSED, "done",
    ),
    Case("set_modprobe_bare sysrq_bare", "userns", REFUSED, "done", "ENOENT"),
    Case("any_setting_in_proc any_setting_in_sys", "userns", "nothing", "many"),
    # -- mounts -------------------------------------------------------------------------------
    Case("remount_root remount_native remount_usr remount_shared", "userns", "EPERM", "done"),
    Case("umount_native", "userns", "EINVAL", "done"),
    Case("write_native write_metadata_directory", "readonly, userns", REFUSED, "done"),
    Case("mount_debugfs mount_tracefs mount_securityfs mount_bpf", "userns", "EPERM", "done"),
    Case("mount_configfs mount_pstore", "userns", "EPERM", "done", "ENODEV"),
    Case("watch_a_file_system", "userns", "EPERM", "done"),
    # -- the host's processes, names, messages ------------------------------------------------
    Case("signal_a_host_process trace_a_host_process", "pidns, userns", "ESRCH EPERM", "done"),
    Case("read_a_host_process", "pidns, userns", "ENOENT EACCES", "done"),
    Case("hold_a_host_process", "pidns", "ESRCH", "done"),
    Case("processes_there", "pidns", "nothing", SEEN),
    Case("shared_memory message_queue", "ipcns", "ENOENT", "done"),
    Case("host_name", "utsns, userns", "nothing", "done"),
    # -- control groups -----------------------------------------------------------------------
    Case("raise_a_limit", "userns, cgroup delegation", "nothing", "done"),
    Case("leave_the_cgroup", "cgroupns, userns", "nothing", "done"),
    Case("release_agent", "cgroupns, userns", "nothing", "done", only="v1"),
    Case("other_cgroups", "cgroupns, userns", "nothing", SEEN),
    # -- more than one's share ------------------------------------------------------------------
    Case("take_memory take_tmpfs take_ramfs", "memory limit", "bounded", "done"),
    # v1 counts it apart, where it is told to; v2 as memory like any other.
    Case("take_udp", "memory limit", "bounded", "done", only="v1"),
    Case("take_processes fork_bomb", "process limit", "bounded", "done"),
    Case("take_ptys", "pty limit", "bounded", "done"),
    # -- network ------------------------------------------------------------------------------
    Case("abstract_socket host_loopback", "netns", "ECONNREFUSED", "done"),
    Case("links_there", "netns", "nothing", SEEN),
    Case(
        "socket_vsock socket_alg socket_rxrpc socket_key socket_can socket_xdp socket_pppox "
        "socket_kcm socket_smc",
        "seccomp", FAMILY, "done EPROTONOSUPPORT ESOCKTNOSUPPORT", FAMILY,
    ),
    Case(
        "socket_tipc socket_bluetooth socket_ax25 socket_llc socket_qipcrtr",
        "seccomp", FAMILY, "done EPROTONOSUPPORT ESOCKTNOSUPPORT", FAMILY, rare=True,
    ),
    Case(
        "socket_audit socket_audit_by_a_number_too_high socket_connector",
        "seccomp", "EPROTONOSUPPORT", "done",
    ),
    Case(
        "socket_crypto socket_iscsi socket_rdma socket_l2tp",
        "seccomp", "EPROTONOSUPPORT", "done", "EPROTONOSUPPORT",
    ),
    Case(
        "socket_dccp",
        "seccomp", "EPROTONOSUPPORT", "done", "ESOCKTNOSUPPORT EPROTONOSUPPORT", rare=True,
    ),
)  # fmt: skip

# What is a zone's own, and works.
OWN = (
    "own_devices", "own_mounts", "own_name", "own_set_user_id", "own_sockets", "own_messages",
)  # fmt: skip
