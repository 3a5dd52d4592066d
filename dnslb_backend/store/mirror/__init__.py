"""The health map, written behind; transitions, retention, restore."""
