"""A day counted: from Parquet to rows of the profile tables.

May import: privacy, inputs, lineage, lake, config, maths. Not here: who counts (engines/), and comparing counts (drift/, quality/).
"""
