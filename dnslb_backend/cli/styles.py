"""What has a colour, on a terminal that shows some."""

HEALTH_STYLES = {"UP": "green", "DOWN": "red", "UNKNOWN": "yellow"}
OUTCOME_STYLES = {"pass": "green", "fail": "red", "error": "yellow"}
