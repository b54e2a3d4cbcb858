"""What is committed of one journal partition: every customer's state as its encoded record, and the meta record.

A `tagger.folding.batch.Batch` folds on top of it; `merge` makes a *committed* batch the new committed state. A
partition with a batch that failed, or whose commit is uncertain, is thrown away whole and restored.
"""

from collections.abc import Callable

from schemas.bankday import BankCalendar
from tagger.compiler.program import Program
from tagger.features.contract import Moment
from tagger.folding.batch import Batch, Changes
from tagger.folding.deadlines import DueQueue
from tagger.folding.meta import Meta, decode_meta
from tagger.measure import columns, measure
from tagger.packs.rulebook import Rulebook, read_rulebook
from tagger.settings import CoreSettings
from tagger.state.customer import decode_state

_EMPTY = Rulebook("0", "", (), {}, {})


class Partition:
    """Committed state of one journal partition.

    Args:
        core: settings of the core.
        rulebooks: gives the packs' texts (file name → YAML) of a published rulebook by its digest;
            raises LookupError for one it does not know.
        customers: encoded states by customer id, as restored from the changelog; the partition owns it.
        meta: the meta record's value as restored, None for a journal not begun.
        programs: rulebooks compiled already, by digest; partitions of one process can share them.
    """

    def __init__(
        self,
        core: CoreSettings,
        rulebooks: Callable[[str], dict[str, str]],
        customers: dict[str, bytes] | None = None,
        meta: bytes | None = None,
        programs: dict[str, Program] | None = None,
    ) -> None:
        self.core = core
        self.calendar = BankCalendar(core.zone)
        self.customers: dict[str, bytes] = {} if customers is None else customers
        self.meta = Meta() if meta is None else decode_meta(meta)
        self._rulebooks = rulebooks
        self._programs = {} if programs is None else programs
        self._programs.setdefault("", Program(_EMPTY, self.calendar))
        self.due = DueQueue(self.customers)

    @property
    def next_offset(self) -> int:
        """The first journal offset not folded yet; 0 for a journal not begun."""
        return self.meta.next_offset

    def program(self, digest: str) -> Program:
        """The compiled rulebook of a digest.

        Raises:
            LookupError: no such rulebook was published.
        """
        program = self._programs.get(digest)
        if program is None:
            rulebook = read_rulebook(self._rulebooks(digest))
            program = self._programs[digest] = Program(rulebook, self.calendar)
        return program

    @property
    def is_behind(self) -> bool:
        """Whether ticks have made deadlines due that are not evaluated yet."""
        return bool(self.meta.unswept)

    def batch(
        self,
        max_customers: int = 1 << 30,
        max_bytes: int = 1 << 62,
        max_deadlines: int = 1 << 62,
        defers: bool = False,
    ) -> Batch:
        """Begin a batch that touches about `max_customers` customers and holds about `max_bytes` at most.

        A tick that has brought `max_deadlines` deadlines goes on in the next batch.

        Both are soft within one event, and hold within a tick or an activation to one customer.

        Args:
            defers: a tick leaves the deadlines that it makes due to `Batch.sweep`, and to the customers' next
                records.
        """
        return Batch(self, max_customers, max_bytes, max_deadlines, defers)

    def merge(self, changes: Changes) -> None:
        """Make a committed batch the committed state. Call it after the commit, never before."""
        self.customers.update(changes.customers)
        self.meta = decode_meta(changes.meta)
        self.due.push(changes.dues)

    def feature_columns(self) -> list[str]:
        """The columns `measure` gives under the rulebook in force, in the packs' order."""
        return columns(self.program(self.meta.rulebook))

    def measure(self, customer_id: str, at_ms: int) -> dict[str, str | None]:
        """A customer's features and levels as of an instant, by column; None is unknown.

        Levels are as last decided: tell the partition the time before measuring at a later one.

        Raises:
            KeyError: no such customer.
        """
        state = decode_state(self.customers[customer_id])
        batch = self.batch()
        moment = Moment(at_ms, self.calendar.day_of(at_ms))
        return measure(self.program(self.meta.rulebook), batch.context, state, moment)
