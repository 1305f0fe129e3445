"""What a row rests on, traced back through runs to files and lineage, and as text.

May import: nightly, alerts, drift, quality, engines, profiles, contract, privacy, inputs, lineage, lake, config, maths,
vocabulary, errors.
Not here: recording any of it (`driftlake.lake`, `driftlake.contract`).
"""
