"""Exit codes of every process (README.md, "Commands")."""

FINE = 0
NOT_SO = 1
"""The thing asked about is not so; of a worker, a fault after which nothing was committed."""
BAD_CONFIGURATION = 2
"""Wrong usage or configuration."""
UNREACHABLE = 3
"""A part of the deployment does not answer."""
