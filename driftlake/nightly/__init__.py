"""The stages of a night: read the inputs, call the pure parts, replace the partitions of the result tables.

May import: alerts, drift, quality, engines, profiles, contract, privacy, inputs, lineage, lake, config, maths,
vocabulary, errors.
Every stage takes the days it is about and may be run again for any of them; days on which nothing changed are left
alone. What cannot be read is recorded and left as it was; it never stops the other days. `driftlake.nightly.stages`
says what a day rests on. Not here: formulas, SQL, Dagster.
"""
