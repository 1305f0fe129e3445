"""Personal data found in columns, and identifiers replaced by pseudonyms.

May import: inputs, lineage, lake, config. Not here: what becomes of a column that holds personal data (contract/, profiles/).
"""
