"""Texts and numbers for people: the signals that rules watch, what each default rule means, and how values are written.

May import: errors.
Not here: verdicts, and the layout of pages.
"""
