# SPDX-License-Identifier: MPL-2.0
# Bash completion of Hull's commands. Made by tools/completion.py: change that, then run it again.
# Use it with `source share/completion/hull.bash`, or install it in /usr/share/bash-completion.

# TABLES

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

complete -F _hull COMMANDS
