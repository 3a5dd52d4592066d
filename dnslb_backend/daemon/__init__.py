"""The daemon: the one place that wires core and edges together, and its life from start to end.

life.py                load -> start -> listen -> check -> ready -> … reloads … -> stop -> end
startup.py             builds the parts (parts.py), with what an earlier run has saved
change_publisher.py    every change of health: answers -> stores -> log and metrics -> event stream
snapshot_publisher.py  answers: new snapshot -> live -> purged from PowerDNS's caches (purging.py)
reloader.py            prepare -> commit -> retire; reload_requests.py has those who wait for it
listeners.py           where PowerDNS and operators are served, also after a reload moved it
admin_control.py       what operators ask for and override
supervisor.py          restarts what fails; readiness.py and watchdog.py report to systemd
location_updates.py    follows the file of the location database
transition_log.py      transitions and decisions in the log
"""

from dnslb_backend.daemon.life import serve
from dnslb_backend.daemon.listeners import StartError

__all__ = ["StartError", "serve"]
