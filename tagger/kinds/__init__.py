"""The kinds of rules: what all share, what tells levels apart, watches, approvals, and which rules read others."""
