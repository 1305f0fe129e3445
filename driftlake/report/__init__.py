"""Report pages and terminal texts: charts, verdicts, summaries, Data Docs.

May import: alerts, drift, profiles, contract, privacy, inputs, lineage, lake, config, maths, vocabulary, errors.
Not here: computing what is shown, and sending it (`driftlake.delivery`).
"""
