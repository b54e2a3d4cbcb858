"""What is allowed in a rulebook and yet cannot be meant: `checks` is the table of what is looked for.

`state_bounds` says how much of a customer's state it may come to.
"""
