"""The trace behind a decision: each condition with what was measured, and the values a tag carries."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from schemas.bankday import BankCalendar
from schemas.tags import Evidence, Printed
from tagger.expr.compile import Condition
from tagger.features.contract import FIRST_NAME
from tagger.kinds.contract import Evaluation, Measure, Occasion
from tagger.state.customer import Watch


def measured(evaluation: Evaluation) -> dict[str, Printed]:
    """Every feature and money name the rule's expressions read, printed; in order of first use."""
    return {measure.name: print_measure(measure, evaluation) for measure in evaluation.terms.measures}


def print_measure(measure: Measure, evaluation: Evaluation) -> Printed:
    """One measured name, printed; None is unknown."""
    value = evaluation.environment[FIRST_NAME + evaluation.terms.features.index(measure.feature)]
    return measure.print(value if measure.part is None else value[measure.part])


def trace(
    conditions: Iterable[Condition],
    evaluation: Evaluation,
    *,
    extra: Mapping[str, Printed] | None = None,
    watch: Watch | None = None,
    within_ms: int = 0,
) -> tuple[Evidence, ...]:
    """What each condition measured.

    Args:
        extra: names outside the rule's measures, such as `retained`, already printed.
        watch: the watch it was measured for; its event and span then stand for the window.
    """
    occasion, context = evaluation.occasion, evaluation.context
    known = {measure.name: measure for measure in evaluation.terms.measures}
    events = _events(occasion, watch)
    result = []
    for condition in conditions:
        values: dict[str, Printed] = {}
        window = None if watch is None else (watch.opened_ms, watch.opened_ms + within_ms)
        for name in condition.reads:
            if extra is not None and name in extra:
                values[name] = extra[name]
            elif name in known:
                values[name] = print_measure(known[name], evaluation)
                window = window or known[name].feature.window_ms(occasion, context.calendar)
        result.append(
            Evidence(
                condition=condition.text,
                measured=values,
                threshold=condition.threshold,
                holds=condition.evaluate(evaluation.environment),
                window=None if window is None else _format(window, context.calendar),
                events=events,
            )
        )
    return tuple(result)


def _events(occasion: Occasion, watch: Watch | None) -> tuple[str, ...]:
    tripping = () if occasion.event is None else (occasion.event.event_id,)
    if watch is None or watch.event_id in tripping:
        return tripping
    return (watch.event_id, *tripping)


# Windows of whole days are the same for all tags of a day, and a time takes 2 µs to write.
@lru_cache(maxsize=1024)
def _format(window: tuple[int, int], calendar: BankCalendar) -> tuple[str, str]:
    return calendar.format(window[0]), calendar.format(window[1])
