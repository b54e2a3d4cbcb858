"""A rule pack and the files beside it as an analyst writes them: one model for everything that may stand there."""
