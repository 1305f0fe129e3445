"""Personal data found in columns, and identifiers replaced by pseudonyms.

May import: inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: what becomes of a column that holds personal data (`driftlake.contract`, `driftlake.profiles`).
"""
