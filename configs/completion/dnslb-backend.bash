# bash completion of dnslb-backend: commands, switches, and the names and targets that the running
# daemon has. Put it into /usr/share/bash-completion/completions/dnslb-backend.

# The words are split at blanks alone: bash also splits at the colons of IPv6 addresses, and
# completes what follows the last one.
_dnslb_backend() {
    local line=${COMP_LINE:0:COMP_POINT} words current found
    read -r -a words <<<"$line"
    current=${words[-1]}
    [[ $line != *[[:blank:]] ]] || current=
    local position=${#words[@]}
    [ -z "$current" ] || position=$((position - 1))
    found=$(COMP_WORDS="${words[*]}" COMP_CWORD=$position \
        _DNSLB_BACKEND_COMPLETE=complete_bash "$1" 2>/dev/null)
    mapfile -t COMPREPLY <<<"$found"
    [ -n "$found" ] || COMPREPLY=()
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
    fi
}

complete -o default -F _dnslb_backend dnslb-backend
