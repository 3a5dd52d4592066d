# fish completion of dnslb-backend: commands, switches, and the names and targets that the running
# daemon has. Put it into /usr/share/fish/vendor_completions.d/.

function __dnslb_backend
    env _DNSLB_BACKEND_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \
        _TYPER_COMPLETE_ARGS=(commandline -cp) dnslb-backend 2>/dev/null
end

complete --command dnslb-backend --no-files --arguments '(__dnslb_backend get-args)' \
    --condition '__dnslb_backend is-args'
