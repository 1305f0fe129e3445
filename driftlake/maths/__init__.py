"""Pure functions over arrays: bins, divergences, statistics, ranking, estimation.

May import: errors.
Not here: anything that knows a table, a file or a setting.
"""
