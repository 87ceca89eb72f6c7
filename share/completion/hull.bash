# SPDX-License-Identifier: MPL-2.0
# Bash completion of Hull's commands. Made by tools/completion.py: change that, then run it again.
# Use it with `source share/completion/hull.bash`, or install it in /usr/share/bash-completion.

declare -gA _hull_verbs=(
    ["hull"]="up down status"
    ["imgadm"]="sources avail show channels import install reinstall list get update delete ancestry vacuum create publish"
    ["svcadm"]="enable disable restart refresh clear mark milestone"
    ["svccfg"]="help set end repository import export validate inventory archive restore cleanup delhash apply extract list select unselect add delete listpg addpg delpg listprop setprop delprop addpropvalue delpropvalue editprop describe setenv unsetenv listsnap selectsnap revert refresh setnotify listnotify delnotify"
    ["vmadm"]="create list get lookup start stop reboot delete update validate create-snapshot rollback-snapshot delete-snapshot reprovision kill sysrq info send receive install events console"
    ["vminfo"]="ping status vms vm events"
    ["zoneadm"]="list boot halt reboot ready shutdown install uninstall detach attach mark verify"
)
declare -gA _hull_options=(
    ["hull up"]="--root=DIR --pool=PATH --pool-size=N --netns=NAME"
    ["hull down"]="--root=DIR --destroy="
    ["hull status"]="--root=DIR -j="
    ["imgadm sources"]="-v= -j= -a=URL -d=URL -e= -c= -t=TYPE -k= -f= --add-docker-hub="
    ["imgadm avail"]="-j= -H= -o=FIELD,... -s=FIELD,... -C=CHANNEL"
    ["imgadm available"]="-j= -H= -o=FIELD,... -s=FIELD,... -C=CHANNEL"
    ["imgadm show"]=""
    ["imgadm channels"]="-j= -H="
    ["imgadm import"]="-q= -C=CHANNEL -P=POOL -S=URL --zstream="
    ["imgadm install"]="-q= -P=POOL -m=MANIFEST -f=FILE"
    ["imgadm reinstall"]="-q= -P=POOL"
    ["imgadm list"]="-j= -H= -o=FIELD,... -s=FIELD,... --docker="
    ["imgadm get"]="-r= -P=POOL"
    ["imgadm info"]="-r= -P=POOL"
    ["imgadm update"]="-n="
    ["imgadm delete"]="-P=POOL"
    ["imgadm destroy"]="-P=POOL"
    ["imgadm ancestry"]="-j= -H= -o=FIELD,... -P=POOL"
    ["imgadm vacuum"]="-n= -f="
    ["imgadm create"]="-m=MANIFEST -o=PATH -p=URL -c=COMPRESSION -i= --max-origin-depth=NUMBER -s=SCRIPT -q="
    ["imgadm publish"]="-q= -m=MANIFEST -f=FILE"
    ["imgapid"]="-h= --help= --listen=ADDRESS:PORT --writable= --token-file=FILE -v= --verbose="
    ["mkimage"]="-h= --help= -o=DIR --output=DIR --suite=SUITE --mirror=URL --uuid=UUID -q= --quiet="
    ["pibuild"]="-h= --help= -o=DIR --output=DIR --effort=EFFORT --no-image="
    ["svcadm enable"]="-r= -s= -t="
    ["svcadm disable"]="-s= -t= -c=COMMENT"
    ["svcadm restart"]="-d="
    ["svcadm refresh"]=""
    ["svcadm clear"]=""
    ["svcadm mark"]="-I= -t="
    ["svcadm milestone"]="-d="
    ["svccfg help"]=""
    ["svccfg set"]="-v= -V="
    ["svccfg end"]=""
    ["svccfg exit"]=""
    ["svccfg quit"]=""
    ["svccfg repository"]=""
    ["svccfg import"]="-V= -p=FILE"
    ["svccfg export"]="-a="
    ["svccfg validate"]=""
    ["svccfg inventory"]=""
    ["svccfg archive"]="-a="
    ["svccfg restore"]=""
    ["svccfg cleanup"]="-a="
    ["svccfg delhash"]="-d="
    ["svccfg apply"]="-n="
    ["svccfg extract"]=""
    ["svccfg list"]=""
    ["svccfg select"]=""
    ["svccfg unselect"]=""
    ["svccfg add"]=""
    ["svccfg delete"]="-f="
    ["svccfg listpg"]=""
    ["svccfg addpg"]=""
    ["svccfg delpg"]=""
    ["svccfg listprop"]=""
    ["svccfg setprop"]=""
    ["svccfg delprop"]=""
    ["svccfg addpropvalue"]=""
    ["svccfg delpropvalue"]=""
    ["svccfg editprop"]=""
    ["svccfg describe"]="-v= -t="
    ["svccfg setenv"]="-i= -s= -m=METHOD"
    ["svccfg unsetenv"]="-i= -s= -m=METHOD"
    ["svccfg listsnap"]=""
    ["svccfg selectsnap"]=""
    ["svccfg revert"]=""
    ["svccfg refresh"]=""
    ["svccfg setnotify"]="-g="
    ["svccfg listnotify"]="-g="
    ["svccfg delnotify"]="-g="
    ["svcprop"]="-C= -c= -f= -q= -t= -v= -w= -p=PROPERTY -s=SNAPSHOT -z=ZONE"
    ["svcs"]="-a= -H= -p= -v= -d= -D= -l= -L= -n= -x= --graph=FILE -o=COLUMN,… -R=FMRI -s=COLUMN -S=COLUMN -z=ZONE -Z="
    ["sysinfo"]="-f= -p= -u="
    ["vmadm create"]="-f=FILE"
    ["vmadm list"]="-p= -H= -h= -o=FIELDS -s=FIELDS"
    ["vmadm get"]=""
    ["vmadm json"]=""
    ["vmadm lookup"]="-j= -1= -o=FIELDS"
    ["vmadm start"]=""
    ["vmadm boot"]=""
    ["vmadm stop"]="-F= -t=SECONDS"
    ["vmadm halt"]="-F= -t=SECONDS"
    ["vmadm reboot"]="-F="
    ["vmadm delete"]=""
    ["vmadm destroy"]=""
    ["vmadm update"]="-f=FILE"
    ["vmadm validate"]="-f=FILE"
    ["vmadm create-snapshot"]=""
    ["vmadm rollback-snapshot"]=""
    ["vmadm delete-snapshot"]=""
    ["vmadm reprovision"]="-f=FILE"
    ["vmadm kill"]="-s=SIGNAL"
    ["vmadm sysrq"]=""
    ["vmadm info"]=""
    ["vmadm send"]=""
    ["vmadm receive"]="-f=FILE"
    ["vmadm recv"]="-f=FILE"
    ["vmadm install"]=""
    ["vmadm events"]="-f= -j= -r="
    ["vmadm console"]=""
    ["vminfo ping"]="-p=PORT"
    ["vminfo status"]="-p=PORT -j= -f="
    ["vminfo vms"]="-p=PORT"
    ["vminfo vm"]="-p=PORT"
    ["vminfo events"]="-p=PORT -f= -j= -r="
    ["zlogin"]="-C= -d= -E= -I= -i= -N= -Q= -S= -t= -e=CHAR -l=USER -z=ZONE"
    ["zoneadm list"]="-z=ZONE -u=UUID -c= -i= -n= -v= -p="
    ["zoneadm boot"]="-z=ZONE -u=UUID -X="
    ["zoneadm halt"]="-z=ZONE -u=UUID -X="
    ["zoneadm reboot"]="-z=ZONE -u=UUID -X="
    ["zoneadm ready"]="-z=ZONE -u=UUID"
    ["zoneadm shutdown"]="-z=ZONE -u=UUID -r="
    ["zoneadm install"]="-z=ZONE -u=UUID -x=nodataset -t=IMAGE -q=GIB"
    ["zoneadm uninstall"]="-z=ZONE -u=UUID -F="
    ["zoneadm detach"]="-z=ZONE -u=UUID"
    ["zoneadm attach"]="-z=ZONE -u=UUID -F="
    ["zoneadm mark"]="-z=ZONE -u=UUID"
    ["zoneadm verify"]="-z=ZONE -u=UUID"
    ["zonecfg"]="-z=ZONE -u=UUID -f=FILE"
)
declare -gA _hull_slots=(
    ["hull up"]=""
    ["hull down"]=""
    ["hull status"]=""
    ["imgadm sources"]=""
    ["imgadm avail"]="FILTER…"
    ["imgadm available"]="FILTER…"
    ["imgadm show"]="UUID|NAME @VERSION |REPO:TAG"
    ["imgadm channels"]=""
    ["imgadm import"]="UUID|NAME @VERSION |REPO:TAG"
    ["imgadm install"]=""
    ["imgadm reinstall"]="UUID"
    ["imgadm list"]="FILTER…"
    ["imgadm get"]="UUID"
    ["imgadm info"]="UUID"
    ["imgadm update"]="UUID…"
    ["imgadm delete"]="UUID"
    ["imgadm destroy"]="UUID"
    ["imgadm ancestry"]="UUID"
    ["imgadm vacuum"]=""
    ["imgadm create"]="UUID FIELD=VALUE…"
    ["imgadm publish"]="URL"
    ["imgapid"]="DIR"
    ["mkimage"]="RECIPE"
    ["pibuild"]="FILE"
    ["svcadm enable"]="SERVICE…"
    ["svcadm disable"]="SERVICE…"
    ["svcadm restart"]="SERVICE…"
    ["svcadm refresh"]="SERVICE…"
    ["svcadm clear"]="SERVICE…"
    ["svcadm mark"]="maintenance|degraded SERVICE…"
    ["svcadm milestone"]="MILESTONE"
    ["svccfg help"]="SUBCOMMAND"
    ["svccfg set"]=""
    ["svccfg end"]=""
    ["svccfg exit"]=""
    ["svccfg quit"]=""
    ["svccfg repository"]="FILE"
    ["svccfg import"]="FILE|DIRECTORY…"
    ["svccfg export"]="SERVICE > FILE"
    ["svccfg validate"]="FILE|FMRI"
    ["svccfg inventory"]="FILE"
    ["svccfg archive"]="> FILE"
    ["svccfg restore"]="FILE"
    ["svccfg cleanup"]=""
    ["svccfg delhash"]="FILE"
    ["svccfg apply"]="FILE|DIRECTORY…"
    ["svccfg extract"]="> FILE"
    ["svccfg list"]="PATTERN"
    ["svccfg select"]="NAME|FMRI"
    ["svccfg unselect"]=""
    ["svccfg add"]="NAME"
    ["svccfg delete"]="NAME|FMRI"
    ["svccfg listpg"]="PATTERN"
    ["svccfg addpg"]="NAME TYPE P"
    ["svccfg delpg"]="NAME"
    ["svccfg listprop"]="PATTERN"
    ["svccfg setprop"]="GROUP/PROPERTY = TYPE: VALUE|(VALUE …)"
    ["svccfg delprop"]="GROUP /PROPERTY"
    ["svccfg addpropvalue"]="GROUP/PROPERTY TYPE: VALUE"
    ["svccfg delpropvalue"]="GROUP/PROPERTY PATTERN"
    ["svccfg editprop"]=""
    ["svccfg describe"]="PATTERN"
    ["svccfg setenv"]="NAME VALUE"
    ["svccfg unsetenv"]="NAME"
    ["svccfg listsnap"]=""
    ["svccfg selectsnap"]="NAME"
    ["svccfg revert"]="SNAPSHOT"
    ["svccfg refresh"]=""
    ["svccfg setnotify"]="EVENT WAY…"
    ["svccfg listnotify"]="EVENT"
    ["svccfg delnotify"]="EVENT"
    ["svcprop"]="PATTERN…"
    ["svcs"]="PATTERN…"
    ["sysinfo"]=""
    ["vmadm create"]=""
    ["vmadm list"]="FIELD=VALUE…"
    ["vmadm get"]="UUID"
    ["vmadm json"]="UUID"
    ["vmadm lookup"]="FIELD=VALUE…"
    ["vmadm start"]="UUID order=ORDER once=ORDER disk=PATH,MODEL… cdrom=PATH,MODEL…"
    ["vmadm boot"]="UUID order=ORDER once=ORDER disk=PATH,MODEL… cdrom=PATH,MODEL…"
    ["vmadm stop"]="UUID"
    ["vmadm halt"]="UUID"
    ["vmadm reboot"]="UUID"
    ["vmadm delete"]="UUID"
    ["vmadm destroy"]="UUID"
    ["vmadm update"]="UUID PROPERTY=VALUE…"
    ["vmadm validate"]="create|update BRAND"
    ["vmadm create-snapshot"]="UUID NAME"
    ["vmadm rollback-snapshot"]="UUID NAME"
    ["vmadm delete-snapshot"]="UUID NAME"
    ["vmadm reprovision"]="UUID"
    ["vmadm kill"]="UUID"
    ["vmadm sysrq"]="UUID nmi|screenshot"
    ["vmadm info"]="UUID TYPE"
    ["vmadm send"]="UUID HOST"
    ["vmadm receive"]=""
    ["vmadm recv"]=""
    ["vmadm install"]="UUID"
    ["vmadm events"]="UUID"
    ["vmadm console"]="UUID"
    ["vminfo ping"]=""
    ["vminfo status"]=""
    ["vminfo vms"]=""
    ["vminfo vm"]="UUID"
    ["vminfo events"]="UUID"
    ["zlogin"]="ZONE COMMAND…"
    ["zoneadm list"]=""
    ["zoneadm boot"]="INIT OPTION"
    ["zoneadm halt"]=""
    ["zoneadm reboot"]="INIT OPTION"
    ["zoneadm ready"]=""
    ["zoneadm shutdown"]="INIT OPTION"
    ["zoneadm install"]=""
    ["zoneadm uninstall"]=""
    ["zoneadm detach"]=""
    ["zoneadm attach"]=""
    ["zoneadm mark"]="incomplete"
    ["zoneadm verify"]=""
    ["zonecfg"]="STATEMENT…"
)
_hull_columns="alias autoboot billing_id boot_timestamp brand cpu_cap cpu_shares cpu_type create_timestamp dns_domain do_not_inventory docker exit_status exit_timestamp firewall_enabled flexible_disk_size free_space hostname hvm image_uuid indestructible_delegated indestructible_zoneroot max_locked_memory max_lwps max_physical_memory max_swap owner_uuid package_name package_version pid qemu_extra_opts quota ram state tmpfs type uuid vcpus zfs_io_priority zone_state zoneid zonename zonepath zpool"
_hull_svcs_columns="state nstate sta nsta s n sn ctid stime fmri svc inst scope desc zone"
_hull_properties="add_filesystems add_nics alias archive_on_delete autoboot billing_id cpu_cap cpu_shares dns_domain do_not_inventory docker firewall_enabled fs_allowed hostname indestructible_delegated indestructible_zoneroot init_name internal_metadata_namespaces kernel_version limit_priv maintain_resolvers max_locked_memory max_lwps max_msg_ids max_physical_memory max_sem_ids max_shm_ids max_shm_memory max_swap owner_uuid package_name package_version quota ram remove_customer_metadata remove_filesystems remove_internal_metadata remove_nics remove_routes remove_tags resolvers restart_init set_customer_metadata set_internal_metadata set_routes set_tags tmpfs update_filesystems update_nics zfs_data_compression zfs_data_recsize zfs_filesystem_limit zfs_io_priority zfs_root_compression zfs_root_recsize zfs_snapshot_limit zlog_max_size"
_hull_brands="joyent joyent-minimal builder lx"

# _hull_words WORDS: those that begin with what is typed
_hull_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$_hull_cur")
}

# _hull_list WORDS: the last element of a comma-separated list, perhaps with - or + before it
_hull_list() {
    local before="" cur=$_hull_cur
    [[ $cur == *,* ]] && before=${cur%,*}, && cur=${cur##*,}
    [[ $cur == [-+]* ]] && before+=${cur:0:1} && cur=${cur:1}
    mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "$cur")
    compopt -o nospace 2>/dev/null
}

# _hull_kind WHAT: complete one thing, named as in the synopsis
_hull_kind() {
    case $1 in
    UUID)
        if [[ $_hull_command == imgadm && $_hull_verb == @(show|import) ]]; then
            _hull_words "$(imgadm avail -H -o uuid 2>/dev/null)"
        elif [[ $_hull_command == imgadm ]]; then
            _hull_words "$(imgadm list -H -o uuid 2>/dev/null)"
        else
            _hull_words "$(vmadm lookup 2>/dev/null)"
        fi
        ;;
    ZONE) _hull_words "$(vmadm list -H -o uuid,alias 2>/dev/null)" ;;
    NAME)
        [[ $_hull_verb == *-snapshot && $_hull_verb != create-* ]] || return
        _hull_words "$(vmadm get "$_hull_first" 2>/dev/null |
            sed -n '/"snapshots"/,/\]/s/.*"name": "\(.*\)".*/\1/p')"
        ;;
    FIELDS | FIELD,*) [[ $_hull_command == vmadm ]] && _hull_list "$_hull_columns" ;;
    COLUMN,*) _hull_list "$_hull_svcs_columns" ;;
    COLUMN) _hull_words "$_hull_svcs_columns" ;;
    FMRI | PATTERN) _hull_words "$(svcs -H -a -o svc 2>/dev/null)" ;;
    FIELD=VALUE)
        [[ $_hull_command == vmadm ]] && compopt -o nospace 2>/dev/null
        [[ $_hull_command == vmadm ]] && _hull_words "${_hull_columns// /= }="
        ;;
    PROPERTY=VALUE)
        compopt -o nospace 2>/dev/null
        _hull_words "${_hull_properties// /= }="
        ;;
    BRAND) _hull_words "$_hull_brands" ;;
    DIR) mapfile -t COMPREPLY < <(compgen -d -- "$_hull_cur") ;;
    FILE | PATH | MANIFEST | RECIPE)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$_hull_cur")
        ;;
    *[A-Z]*) ;; # a thing that only the operator knows
    *) _hull_words "$1" ;;
    esac
}

# _hull_value FLAG: what the option takes; empty if nothing
_hull_value() {
    local option
    for option in ${_hull_options[$_hull_key]:-}; do
        [[ $option == "$1="* ]] && printf '%s' "${option#*=}"
    done
}

# _hull_slot POSITION: what may stand there
_hull_slot() {
    local -a kinds
    read -ra kinds <<<"${_hull_slots[$_hull_key]:-}"
    local kind=${kinds[$1]:-}
    if [[ -z $kind && ${#kinds[@]} -gt 0 && ${kinds[-1]} == *… ]]; then
        kind=${kinds[-1]}
    fi
    printf '%s' "${kind%…}"
}

_hull() {
    local _hull_command=${COMP_WORDS[0]##*/} _hull_cur=${COMP_WORDS[COMP_CWORD]}
    local _hull_verb="" _hull_key _hull_first="" position=0 index=1 word kind
    COMPREPLY=()
    [[ ${COMP_WORDS[1]} == --here ]] && index=2
    if [[ -n ${_hull_verbs[$_hull_command]:-} ]]; then
        if ((COMP_CWORD <= index)); then
            _hull_words "${_hull_verbs[$_hull_command]:-} help"
            return
        fi
        _hull_verb=${COMP_WORDS[index++]}
    fi
    _hull_key=$_hull_command${_hull_verb:+ $_hull_verb}
    # a value after `property=` is the operator's to know
    [[ $_hull_cur == "=" || ${COMP_WORDS[COMP_CWORD - 1]} == "=" ]] && return
    for (( ; index < COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ $word == -?* ]]; then
            kind=$(_hull_value "$word")
            if [[ -n $kind ]] && ((++index == COMP_CWORD)); then
                _hull_kind "$kind"
                return
            fi
        else
            ((position++ == 0)) && _hull_first=$word
        fi
    done
    if [[ $_hull_cur == -* ]]; then
        word="--help"
        for kind in ${_hull_options[$_hull_key]:-}; do
            word+=" ${kind%%=*}"
        done
        _hull_words "$word"
        return
    fi
    for kind in $(_hull_slot "$position" | tr '|' ' '); do
        local -a before=("${COMPREPLY[@]}")
        _hull_kind "$kind"
        COMPREPLY=("${before[@]}" "${COMPREPLY[@]}")
    done
}

complete -F _hull hull imgadm imgapid mkimage pibuild svcadm svccfg svcprop svcs sysinfo vmadm vminfo zlogin zoneadm zonecfg
