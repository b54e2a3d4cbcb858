"""The Faust app of the contenders that share no code with `streams`."""

import faust


class InMemoryApp(faust.App):  # type: ignore[misc]
    """Its tables are in memory."""

    def _create_directories(self) -> None:
        """None: they stay empty, and would be left in the caller's folder."""
