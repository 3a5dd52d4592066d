"""What has a colour, on a terminal that shows some."""

HEALTH_STYLES = {"UP": "green", "DOWN": "red", "UNKNOWN": "yellow"}
SEVERITY_STYLES = {"info": "green", "warning": "yellow", "error": "red"}
OUTCOME_STYLES = {"pass": "green", "fail": "red", "error": "yellow"}
