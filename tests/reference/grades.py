"""Ladders, scorecards and matrices: which level is met, and what follows from a change of it."""

from fractions import Fraction
from typing import Any

from reference.life import HOLD, Turn, score_parts
from reference.scene import Episode
from schemas.journal import Approval
from schemas.packs.pack import GradedRule, LadderRule, LeveledRule, MatrixRule, ScorecardRule


def evaluate(turn: Turn) -> None:
    model, life = turn.model, turn.life
    assert isinstance(model, GradedRule)
    before = life.computed or life.level
    reached = _reached(turn, model, before)
    approval = getattr(model, "approval", None)
    if approval is None:
        _stand(turn, model, reached)
    else:
        _propose(turn, model, before, reached)


# Which level is met


def _reached(turn: Turn, model: GradedRule, before: str | None) -> str | None:
    """The level met, once it has been for as long as `for` asks; until then the one before."""
    met = _met(turn, model, before, model.level_names)
    if met == HOLD:
        return before
    return met if _has_held(turn, model, met, before) else before


def _has_held(turn: Turn, model: GradedRule, met: str | None, before: str | None) -> bool:
    life = turn.life
    if not model.for_ms:
        return True
    if met == before:
        life.since_ms = None
        return True
    if life.since_ms is None or life.pending != met:
        life.pending, life.since_ms = met, turn.now_ms
    if not turn.scene.is_over(life.since_ms + model.for_ms):
        return False
    life.since_ms = None
    return True


def _met(turn: Turn, model: GradedRule, stood_on: str | None, names: tuple[str, ...]) -> str | None:
    """The level met among some, `HOLD` where a warming feature may have kept from a higher one."""
    if not turn.is_valid:
        return None
    match model:
        case MatrixRule():
            level, is_unknown = _cell(turn, model)
        case LadderRule(by=None):
            level, is_unknown = _by_conditions(turn, model, names)
        case LadderRule(by=str(by)):
            level, is_unknown = _by_number(turn, model, turn.evaluate(by), stood_on, names)
        case ScorecardRule():
            scores = score_parts(turn).values()
            total = None if None in scores else sum(scores, Fraction(0))
            level, is_unknown = _by_number(turn, model, total, stood_on, names)
        case _:
            raise AssertionError(model)
    return HOLD if is_unknown and turn.is_warming else level


def _by_conditions(turn: Turn, model: LadderRule, names: tuple[str, ...]) -> tuple[str | None, bool]:
    is_unknown = False
    for name in reversed(names):
        holds = True if name == model.otherwise else turn.evaluate(str(model.levels[name]))
        if holds is True:
            return name, is_unknown
        is_unknown |= holds is None
    return None, is_unknown


def _by_number(
    turn: Turn, model: LeveledRule, measured: Any, stood_on: str | None, names: tuple[str, ...]
) -> tuple[str | None, bool]:
    lowest = names[0] if names and names[0] == model.otherwise else None
    if measured is None:
        return lowest, True
    cuts = {name: turn.scene.cut(turn.rule, name) for name in names}
    met = [name for name in names if (cut := cuts[name]) is None or measured >= cut]
    level = met[-1] if met else None
    if model.leave_below is not None and stood_on in names and stood_on not in met:
        start = cuts[stood_on]
        if start is not None and measured >= Fraction(model.leave_below) * start:
            return stood_on, False
    return level, False


def _cell(turn: Turn, model: MatrixRule) -> tuple[str | None, bool]:
    steps = []
    for axis in (model.rows, model.columns):
        measured = turn.evaluate(axis.by)
        if measured is None:
            return None, True
        steps.append(sum(turn.scene.book.number(turn.pack, cut) <= measured for cut in axis.cuts))
    return model.cells[steps[0]][steps[1]], False


# What follows


def _stand(turn: Turn, model: GradedRule, reached: str | None) -> None:
    """Close the episode of the level left and open one for the level reached."""
    life = turn.life
    if reached == life.level:
        if life.open is not None:
            _look_after(turn, life.open)
        elif life.left and not turn.is_cooling():
            _open(turn, model, reached, life.left.pop())
        return
    if life.open is not None:
        _leave(turn, life.open, reached)
    left, life.level = life.level, reached
    life.left = []
    if reached is None or reached in model.silent:
        return
    if turn.is_cooling():
        life.left = [left]
    else:
        _open(turn, model, reached, left)


def _open(turn: Turn, model: GradedRule, level: str | None, previous: str | None, proposed: bool = False) -> None:
    assert level is not None
    names = model.level_names
    said: dict[str, Any] = {"level": level, "previous_level": previous if previous in names else None}
    if not isinstance(model, MatrixRule):
        said["rank"] = names.index(level)
        said["previous_rank"] = names.index(previous) if previous in names else None
    turn.open(said, proposed)


def _leave(turn: Turn, episode: Episode, reached: str | None) -> None:
    if turn.is_converted(episode):
        turn.close(episode, "converted")
        return
    reason = "ended" if reached is None else "level"
    turn.close(episode, "revoked", "late" if turn.scene.is_from_an_earlier_day else reason)


def _look_after(turn: Turn, episode: Episode) -> None:
    if turn.is_converted(episode):
        turn.close(episode, "converted")
    elif episode.expires_ms is not None and turn.scene.is_over(episode.expires_ms):
        turn.close(episode, "expired")
    else:
        turn.refresh(episode)


# Maker and checker


def _propose(turn: Turn, model: GradedRule, before: str | None, reached: str | None) -> None:
    life, names = turn.life, model.level_names
    first = names.index(model.approval.from_)  # type: ignore[attr-defined]
    needs_approval = reached is not None and names.index(reached) >= first
    proposal = life.proposed
    if proposal is not None and (reached != before or not needs_approval):
        _leave(turn, proposal, reached)
    if not needs_approval or (reached == before and life.level == reached):
        if not needs_approval:
            life.computed = None
        _stand(turn, model, reached)
    else:
        below = _met(turn, model, life.level, names[:first])
        _stand(turn, model, life.level if below == HOLD else below)
        if reached != before:
            life.computed = reached
            _open(turn, model, reached, life.level, proposed=True)
        elif life.proposed is not None:
            _look_after(turn, life.proposed)
    record = turn.scene.record
    if isinstance(record, Approval) and record.subject in (turn.rule, turn.pack):
        _answer(turn, model, record, proposal)


def _answer(turn: Turn, model: GradedRule, approval: Approval, proposal: Episode | None) -> None:
    """Take a checker's decision about a proposal that stood before it; any other is ignored."""
    life = turn.life
    if proposal is None or life.proposed is not proposal or approval.grade != proposal.level:
        return
    if approval.occurred_ms < proposal.opened_ms:
        return
    if approval.decision == "reject":
        turn.close(proposal, "revoked", "rejected")
        return
    if life.open is not None:
        turn.close(life.open, "revoked", "level")
    proposal.previous_level = life.level
    if proposal.rank is not None:
        names = model.level_names
        proposal.previous_rank = None if life.level is None else names.index(life.level)
    life.open, life.proposed = proposal, None
    life.level, life.computed = proposal.level, None
    turn.give_off(proposal, "released")
