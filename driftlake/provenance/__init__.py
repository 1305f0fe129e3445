"""What a row rests on, traced back through runs to files and lineage, and as text.

May import: nightly, drift, lake, config, vocabulary. Not here: recording any of it (lake/, contract/).
"""
