"""The whole pipeline in one thread, from one seed: the real ownership, lanes, tasks and units of work on a
simulated broker, consumer groups, Redis, network and clock, with everything that can go wrong going wrong.

    python -m tests.simulation --seeds 1-1000
"""
