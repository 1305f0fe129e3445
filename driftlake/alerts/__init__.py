"""Objectives, rules and the incidents they make, what people said about them, and what shows their cause.

May import: drift, profiles, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: telling people (`driftlake.delivery`),
and pages (`driftlake.report`).
"""
