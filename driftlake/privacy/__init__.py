"""Detects personal data in columns and replaces identifiers by pseudonyms.

May import: inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: leaving out a column that contains personal data (`driftlake.contract`, `driftlake.profiles`).
"""
