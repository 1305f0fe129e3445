"""Files of other systems as telemetry and labels: OTLP of OpenTelemetry, Parquet logs of Feast.

May import: nightly, alerts, drift, quality, engines, profiles, contract, privacy, inputs, lineage, lake, config,
maths, vocabulary, errors.
Not here: rules about what was imported (`driftlake.contract`), and counting it.
"""
