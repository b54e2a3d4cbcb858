"""One bit a feature's state: what an event changed, and what a rule reads, as sets that meet in one `&`."""

from tagger.features.contract import Feature
from tagger.features.lists import ListFeature
from tagger.features.lookups import Attribute

BALANCES = 1
PROFILE = 2
_FIRST_FEATURE_BIT = 2


class FeatureBits:
    """Gives out bits: `BALANCES` and `PROFILE`, then one a definition in the order they are asked for."""

    def __init__(self) -> None:
        self._bits: dict[int, int] = {}
        self._definitions: dict[int, str] = {}

    def of(self, feature: Feature) -> int:
        """The bit set when the feature's state changes.

        Raises:
            ValueError: another definition has the same hash.
        """
        if feature.key == 0:
            return PROFILE if isinstance(feature, Attribute | ListFeature) else BALANCES
        if self._definitions.setdefault(feature.key, feature.definition) != feature.definition:
            raise ValueError(
                f"two features share the hash {feature.key:08x}: {feature.definition!r} and "
                f"{self._definitions[feature.key]!r}; word one of them differently"
            )
        return self._bits.setdefault(feature.key, 1 << (len(self._bits) + _FIRST_FEATURE_BIT))
