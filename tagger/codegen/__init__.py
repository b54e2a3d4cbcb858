"""Python generated when a rulebook is compiled; `tagger rules show --compiled` shows it.

What an event updates, which rules it may move, and what turns with a bank day.
"""
