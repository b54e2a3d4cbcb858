"""The cases that packs carry: run, and compared with what they expect."""
