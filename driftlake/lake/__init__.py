"""DuckDB, S3 and the DuckLake: the project's SQL, sessions, the catalog and its transactions, records of runs, maintenance.

May import: config, maths, vocabulary, errors.
Not here: what the rows mean, and reading input files.
"""
