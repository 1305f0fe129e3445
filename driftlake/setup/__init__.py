"""A project's first files, and what is found out about an installation before it runs.

May import: engines, contract, inputs, lineage, lake, config. Not here: anything that a run does.
"""
