"""A journal partition folded: a customer's steps, batches of them, the clock and its deadlines, a new rulebook."""
