"""What every stage runs on: partitions owned, fetched, worked through in lanes, committed in transactions."""
