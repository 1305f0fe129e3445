"""Input files to relations: partitions of Parquet, their columns and features, predictions under canonical names.

May import: lineage, lake, config, vocabulary, maths. Not here: what is promised about rows (contract/), and counting them (profiles/).
"""
