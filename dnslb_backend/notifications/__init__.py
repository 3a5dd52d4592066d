"""Notifications: changes of decisions and members, sent to webhooks and commands."""
