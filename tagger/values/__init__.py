"""Formulas of what a customer is worth, each with its source."""
