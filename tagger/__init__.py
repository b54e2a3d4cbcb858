"""The decision core: pure functions from a journal to states and tags. No I/O, no wall clock, no randomness."""
