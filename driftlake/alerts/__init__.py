"""Objectives, rules and the incidents they make, what people said about them, and what shows their cause.

May import: drift, privacy, inputs, lineage, lake, config, vocabulary, maths. Not here: telling people (delivery/), and pages (report/).
"""
