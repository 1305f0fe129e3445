"""Words and numbers as people read them: the signals that rules watch, what each default rule means, how values are written.

May import: errors.
Not here: judgements, and the layout of pages.
"""
