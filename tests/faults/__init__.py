"""Faults on real servers: Apache Kafka, Redis and `tagger worker` processes, killed, frozen and restarted by a
seeded plan while a made-up bank's events come in; in the end every committed tag, state, fate and Redis key is
compared with a plain fold.

    python -m tests.faults --seed 7 --kills 20 --events 100000 [--nodes 3] [--workers 3] [--report PATH]
"""
