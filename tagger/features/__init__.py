"""What is measured of a customer: a class a verb, what they share, and `build`, the table of them."""
