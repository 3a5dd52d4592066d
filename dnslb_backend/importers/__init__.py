"""Configurations of other projects, written as configurations of dnslb-backend."""
