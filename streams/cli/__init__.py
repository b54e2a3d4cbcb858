"""The command line: a module a group of commands, and what they print with; `main` is the root."""
