"""The command line, one file a command group. Only this layer ends the process."""
