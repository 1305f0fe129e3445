"""The stages of a night: read the inputs, call the pure parts, replace the partitions of the result tables.

May import: alerts, drift, quality, engines, profiles, contract, privacy, inputs, lineage, lake, config, maths,
vocabulary, errors.
Every stage takes the days it is about and may be run again for any of them; days on which nothing changed are left
alone. Input that cannot be read is recorded; the rows of its day stay unchanged and the other days go on.
`driftlake.nightly.stages` declares the inputs of each stage. Not here: formulas, SQL, Dagster.
"""
