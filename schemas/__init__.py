"""The contracts: what comes in, what goes out, and the only place where outside bytes become events."""
