"""Packs as text until they are a rulebook: read with every line and column, checked, told in their own words."""
