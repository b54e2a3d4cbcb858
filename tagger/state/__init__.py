"""What is kept of one customer: the record, its bounds, its parts, and what readers see of it."""
