"""The contracts of telemetry, labels and training data: rules about rows, as Great Expectations suites.

Not here: running them (driftlake/contract/row_checks.py); required columns and their types (a file without them is refused).
"""
