"""Whether a worker does its work: what its lanes show, who looks at it, and what it tells orchestrators."""
