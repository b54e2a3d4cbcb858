"""Whether a worker does its work: what may last only for a while, who looks, and what it tells orchestrators."""
