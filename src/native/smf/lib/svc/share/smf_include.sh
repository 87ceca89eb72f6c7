# shellcheck shell=sh disable=SC2034  # the constants are for who includes this
# SPDX-License-Identifier: MPL-2.0
# What methods include: how they may end, and where they are. POSIX sh.
#
#     . /lib/svc/share/smf_include.sh

SMF_EXIT_OK=0
SMF_EXIT_NODAEMON=94
SMF_EXIT_ERR_FATAL=95
SMF_EXIT_ERR_CONFIG=96
SMF_EXIT_MON_DEGRADE=97
SMF_EXIT_MON_OFFLINE=98
SMF_EXIT_ERR_NOSMF=99
SMF_EXIT_ERR_PERM=100
SMF_EXIT_TEMP_DISABLE=101

# Whether SMF runs here.
smf_present() {
    [ -S "${HULL_ROOT-}/run/svc/repository_door" ]
}

# The name of this zone; that of the host is "global".
smf_zonename() {
    if [ -n "${SMF_ZONENAME-}" ]; then
        echo "$SMF_ZONENAME"
    elif [ -d /.zonecontrol ]; then
        tr '\0' '\n' </proc/1/environ | sed -n 's/^container_uuid=//p'
    else
        echo global
    fi
}

smf_is_globalzone() {
    [ "$(smf_zonename)" = global ]
}

smf_is_nonglobalzone() {
    ! smf_is_globalzone
}

# Whether the zone sets up its own network: never, the host has done it.
smf_configure_ip() {
    return 1
}

# Forget what SMF has put into the environment, before something starts that is no service.
smf_clear_env() {
    unset SMF_FMRI SMF_METHOD SMF_RESTARTER SMF_ZONENAME SMF_LIB SMF_PYTHON
}

# Copy standard input to the console, and to standard output.
smf_console() {
    if [ -w /dev/console ]; then
        tee /dev/console
    else
        cat
    fi
}

# smf_method_exit STATUS TOKEN TEXT: end the method; why is in the log, and where the state is shown.
smf_method_exit() {
    echo "$2: $3"
    if [ -n "${SMF_FMRI-}" ] && [ -n "${SMF_LIB-}" ]; then
        _smf_text=$(printf '%s' "$3" | tr '\n' ' ' | sed 's/[\\"]/\\&/g')
        _smf_set="setprop general_ovr/comment = astring: \"$_smf_text\""
        printf '%s\n' "select $SMF_FMRI" "addpg general_ovr framework P" "$_smf_set" |
            "${SMF_PYTHON:-/usr/bin/python3}" -IS "$SMF_LIB/../../bin/svccfg" -f - 2>/dev/null ||
            "${SMF_PYTHON:-/usr/bin/python3}" -IS "$SMF_LIB/../../bin/svccfg" -s "$SMF_FMRI" "$_smf_set"  # the group is there
    fi
    exit "$1"
}

# The processes of a contract, but for the caller's own shell.
_smf_processes() {
    contracts=$(cat "${HULL_ROOT-}/run/svc/contracts" 2>/dev/null) || return 1
    [ -d "$contracts/$1" ] || return 1
    find "$contracts/$1" -name cgroup.procs -exec cat {} + | grep -vx "$$"
}

# smf_kill_contract CONTRACT SIGNAL [WAIT [TIMEOUT]]: send all of its processes a signal; with WAIT 1
# wait for their end, at most TIMEOUT seconds (0: for ever). 0 done, 1 wrong words, 2 they live on.
smf_kill_contract() {
    case ${1-} in '' | *[!0-9]*) echo "smf_kill_contract: \"${1-}\" is no contract"; return 1 ;; esac
    case ${2-} in '' | *[!A-Z0-9]*) echo "smf_kill_contract: \"${2-}\" is no signal"; return 1 ;; esac
    case ${3-0}${4-0} in *[!0-9]*) echo "smf_kill_contract: wait and timeout are numbers"; return 1 ;; esac
    _smf_left=$((${4-0} * 10))
    for _smf_pid in $(_smf_processes "$1"); do
        kill -s "$2" "$_smf_pid" 2>/dev/null
    done
    while [ "${3-0}" = 1 ] && [ -n "$(_smf_processes "$1")" ]; do
        if [ "${4-0}" != 0 ]; then
            [ "$_smf_left" -gt 0 ] || return 2
            _smf_left=$((_smf_left - 1))
        fi
        sleep 0.1
    done
    return 0
}
