"""Pages and terminal texts: charts, verdicts, summaries, Data Docs.

May import: alerts, contract, lake, config, vocabulary, maths. Not here: computing what is shown, and sending it (delivery/).
"""
