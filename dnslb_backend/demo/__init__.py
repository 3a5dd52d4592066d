"""The demo: real targets, the daemon and a real pdns_server on this machine, watched live.

dig  ->  pdns_server  ->  dnslb-backend  ->  three web servers on 127.0.0.11, .12 and .13
"""


class DemoError(Exception):
    """The demo cannot go on; the text says why, for people."""
