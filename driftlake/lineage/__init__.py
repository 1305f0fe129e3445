"""Model versions: the lineage files that teams write, and the registered versions.

May import: lake, config, maths, vocabulary, errors.
Not here: registering a version and learning from its training data (`driftlake.training`).
"""
