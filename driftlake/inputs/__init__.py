"""From input files to relations: partitions of Parquet, their columns and features, predictions under canonical names.

May import: lineage, lake, config, maths, vocabulary, errors.
Not here: rules about rows (`driftlake.contract`), and counting them (`driftlake.profiles`).
"""
