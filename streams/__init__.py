"""Everything that touches the world: Kafka, Redis, the clock, files and the command line."""
