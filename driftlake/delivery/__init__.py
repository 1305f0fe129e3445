"""Notices to people and systems: channels, the texts of notices, and the file for Prometheus.

May import: alerts, drift, profiles, contract, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: what an incident is (`driftlake.alerts`).
"""
