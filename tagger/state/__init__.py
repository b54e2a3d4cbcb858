"""What is kept of one customer: the record, and its parts."""
