"""What model versions are: lineage files as their teams write them, and the versions that are registered.

May import: lake, config, maths, vocabulary, errors.
Not here: registering a version, and learning from its training data (`driftlake.training`).
"""
