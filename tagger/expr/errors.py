"""The errors of the expression language."""


class ExpressionError(ValueError):
    """An expression that cannot be used.

    Attributes:
        message: what is wrong and how to mend it, without place.
        column: 0-based character of the expression's text where it is wrong.
        expected: what would have been right, if that can be said.
        nearest: the right name most like the wrong one, if any is.
        others: what else is wrong with the same expression.
    """

    others: tuple["ExpressionError", ...] = ()

    def __init__(
        self, message: str, column: int = 0, expected: str | None = None, nearest: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.expected = expected
        self.nearest = nearest


class UnresolvedNameError(ExpressionError):
    """A name or a part that is wrong in itself; reported there, and nowhere else."""
