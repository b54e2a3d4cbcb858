"""A rulebook compiled: rules and features in order, what an event can change, and what passing time can."""
