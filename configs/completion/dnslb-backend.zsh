#compdef dnslb-backend
# zsh completion of dnslb-backend: commands, switches, and the names and targets that the running
# daemon has. Put it into a folder of $fpath, as _dnslb-backend.

eval "$(_TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _DNSLB_BACKEND_COMPLETE=complete_zsh \
    "${words[1]}" 2>/dev/null)"
