"""A model version learned from its training data, held against its contract, and registered.

May import: profiles, contract, privacy, inputs, lineage, lake, config, maths. Not here: loading versions that are registered (lineage/).
"""
