"""Telling people and systems: channels, the texts of notices, the file for Prometheus.

May import: lake, config, vocabulary. Not here: what an incident is (alerts/).
"""
