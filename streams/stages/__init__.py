"""The three stages, ingest, decide and project, and what only one of them has."""
