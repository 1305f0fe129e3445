"""What model versions are: lineage files as their teams write them, and the versions that are registered.

May import: lake, config, maths. Not here: registering a version, and learning from its training data (training/).
"""
