"""Words and numbers as people read them: how values are written, and what each rule means.

May import: nothing of driftlake but errors. Not here: judgements, and the layout of pages.
"""
