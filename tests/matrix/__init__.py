"""`make matrix`: the suites against the PowerDNS, Python and MariaDB of other Debian releases."""
