"""The daemon: the one place that wires core and edges together, and its life from start to end.

life.py       load -> restore -> listen -> rounds -> ready -> ... reloads ... -> stop -> end
answers.py    every change of health: new snapshot -> live -> purged from PowerDNS's caches
listeners.py  where PowerDNS and operators are served, also after a reload moved it
told.py       transitions in the log
"""

from dnslb_backend.daemon.life import Daemon, serve
from dnslb_backend.daemon.listeners import StartError

__all__ = ["Daemon", "StartError", "serve"]
