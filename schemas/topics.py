"""The names of the contract's topics, without a deployment's prefix, and of its one header."""

TRANSACTIONS = "bank.transactions"
APP_EVENTS = "bank.app-events"
PROFILES = "bank.profiles"
APPROVALS = "bank.approvals"
FEEDBACK = "push.feedback"
RULEBOOKS = "tagging.rulebooks"
JOURNAL = "tagging.journal"
CUSTOMERS = "tagging.customers"
TAGS = "tagging.tags"
DEAD_LETTERS = "tagging.dead-letters"

INPUTS = (TRANSACTIONS, APP_EVENTS, PROFILES, APPROVALS, FEEDBACK)

CONTROL_HEADER = "tagger-control"
"""On a record without a value: `begin` or `end` of a recorded run in this partition."""
