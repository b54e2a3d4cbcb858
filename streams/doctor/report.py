"""What the doctor found, and what could not be looked at."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Check = Literal["fates", "changelog", "tags", "view"]

REMEDIES: dict[Check, str] = {
    "fates": "stop ingest and decide and keep all topics; something besides the workers wrote to or deleted from "
    "them, or a group's offset was moved",
    "changelog": "stop decide; with a new `app`, changelog and tag topic the deployment decides the journal again",
    "tags": "stop decide and keep the topic; no transaction of a worker leaves this. Consumers drop what repeats "
    "by (tag_id, revision)",
    "view": "delete the partition's field of tagger:meta (or all of Redis): project then writes its view again",
}
"""What to do, where a finding says nothing nearer."""

TOLD_OF_A_KIND = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. Ids only: a text names a customer's fields, never what stands in them."""

    check: Check
    where: str
    expected: str
    found: str
    remedy: str


@dataclass(frozen=True, slots=True)
class PartitionClock:
    """What time it is in a journal partition, and why no later.

    Attributes:
        at: as of the bank's zone; None while there is no clock.
        held_by: the input partition with the earliest time, or that told none yet; None when all have closed.
    """

    partition: int
    at: str | None
    held_by: str | None


@dataclass(slots=True)
class Report:
    """The doctor's report.

    Attributes:
        findings: what is wrong, the first `TOLD_OF_A_KIND` of each kind and partition.
        untold: how many more there are, by kind and partition.
        not_checked: what could not be looked at, and why.
        checked: how many of what were looked at.
        unreachable: why a part could not be asked at all; None when all answered.
        clocks: of the journal's partitions, in order.
    """

    findings: list[Finding] = field(default_factory=list)
    untold: Counter[str] = field(default_factory=Counter)
    not_checked: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)
    unreachable: str | None = None
    clocks: list[PartitionClock] = field(default_factory=list)
    _told: Counter[str] = field(default_factory=Counter)

    def wrong(
        self, check: Check, where: str, expected: str, found: str, *, remedy: str | None = None, of: str = ""
    ) -> None:
        """Note a finding. `of` names what many findings share (a partition), so that the rest can be counted."""
        kind = f"{check} of {of or where}"
        self._told[kind] += 1
        if self._told[kind] > TOLD_OF_A_KIND:
            self.untold[kind] += 1
            return
        self.findings.append(Finding(check, where, expected, found, remedy or REMEDIES[check]))

    def skip(self, what: str) -> None:
        """Note what was not looked at."""
        self.not_checked.append(what)
