"""What every stage runs on: partitions owned, fetched, worked through in lanes, committed in transactions.

`vitals` is what a lane shows of itself to `streams.watch`.
"""
