# SPDX-License-Identifier: MPL-2.0
"""The states of an instance, as words: what svcs prints, and what the property group restarter has.

Property group `restarter` (framework, volatile), written by startd alone:
    state, next_state, auxiliary_state     astring; next_state is "none" when at rest
    state_timestamp                        time, of the last change of state
    contract                               count, 0..n: ids of the cgroups that are the service
    start_pid, start_method_timestamp, start_method_waitstatus
    logfile                                astring
    auxiliary_text                         astring: of maintenance, what went wrong, for svcs -x
    auxiliary_fmri                         who asked for it, if it was a service
    dying_contract, transient_contract     what was killed and is waited for; a method beside it
    stop_cause                             of a stop under way or due, and its auxiliary state
Property group `restarter_actions` (framework, volatile), written by svcadm, emptied by startd:
    refresh, restart, dodump, maint_on, maint_on_immediate, maint_on_temporary, maint_on_immtemp,
    maint_off, degraded, degrade_immediate, restore    integer: when it was asked, in nanoseconds
    auxiliary_fmri, auxiliary_tty
"""

UNINITIALIZED, DISABLED, OFFLINE, ONLINE = "uninitialized", "disabled", "offline", "online"
DEGRADED, MAINTENANCE, LEGACY = "degraded", "maintenance", "legacy_run"
NONE = "none"

# state: (STA, S, rank in svcs's order)
SHOWN = {
    UNINITIALIZED: ("UN", "u", 6),
    DISABLED: ("DIS", "d", 1),
    OFFLINE: ("OFF", "0", 4),
    ONLINE: ("ON", "1", 2),
    DEGRADED: ("DGD", "D", 3),
    MAINTENANCE: ("MNT", "m", 5),
    LEGACY: ("LRC", "L", 0),
}
STATES = tuple(state for state in SHOWN if state != LEGACY)
RUNNING_STATES = (ONLINE, DEGRADED)

# Groupings and restart_on of a dependency, in the DTD's words.
REQUIRE_ALL, REQUIRE_ANY = "require_all", "require_any"
OPTIONAL_ALL, EXCLUDE_ALL = "optional_all", "exclude_all"
GROUPINGS = (REQUIRE_ALL, REQUIRE_ANY, OPTIONAL_ALL, EXCLUDE_ALL)
RESTART_ON = ("none", "error", "restart", "refresh")

# What a method says by its exit status.
EXIT_OK, EXIT_NODAEMON, EXIT_ERR_FATAL, EXIT_ERR_CONFIG = 0, 94, 95, 96
EXIT_MON_DEGRADE, EXIT_MON_OFFLINE, EXIT_ERR_NOSMF, EXIT_ERR_PERM = 97, 98, 99, 100
EXIT_TEMP_DISABLE = 101
FATAL_EXITS = (EXIT_ERR_FATAL, EXIT_ERR_CONFIG, EXIT_ERR_NOSMF, EXIT_ERR_PERM)
