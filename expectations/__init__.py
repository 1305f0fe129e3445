"""The telemetry and label contracts: which promises are made about a day's rows, as Great Expectations suites.

Not here: running them (driftlake/contract/row_checks.py); required columns and their types (a file without them is refused).
"""
