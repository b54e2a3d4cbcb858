"""The contact policy: the one gate after all rules, why it holds a tag and when it lets it go (docs/policy.md)."""
