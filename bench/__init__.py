"""The benchmark: one job on one broker, done by this pipeline, by Faust written the usual way, and by a bare fold.

`tagger bench` (or `make bench`) runs it; docs/benchmarks.md says what is measured and how to read it.
"""
