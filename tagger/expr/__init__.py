"""The expression language: text parsed, checked, compiled, explained, and the days on which it turns."""
