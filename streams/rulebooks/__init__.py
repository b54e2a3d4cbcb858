"""Folders of rule packs: read, published and put in force, compared, and what they cost."""
