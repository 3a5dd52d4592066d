"""The daemon: the one place that wires core and edges together, and its life from start to end.

life.py                load -> restore -> listen -> check -> ready -> ... reloads ... -> stop -> end
snapshot_publisher.py  every change of health: new snapshot -> live -> purged from PowerDNS's caches
admin_control.py       what operators ask for and order
listeners.py           where PowerDNS and operators are served, also after a reload moved it
transition_log.py      transitions in the log
"""

from dnslb_backend.daemon.life import Daemon, serve
from dnslb_backend.daemon.listeners import StartError

__all__ = ["Daemon", "StartError", "serve"]
