"""Objectives, rules, incidents with their causes, and acknowledgements.

May import: drift, profiles, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: notices (`driftlake.delivery`), and report pages (`driftlake.report`).
"""
