"""An input partition read: which records become journal events, and what is committed of it."""
