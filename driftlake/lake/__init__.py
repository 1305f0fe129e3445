"""DuckDB, S3 and the DuckLake: the project's SQL, sessions, the catalog and its transactions, what runs recorded, upkeep.

May import: config, maths, vocabulary, errors.
Not here: what the rows mean, and reading input files.
"""
