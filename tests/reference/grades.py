"""Ladders, scorecards and matrices: which level is met, and what follows from a change of it."""

from fractions import Fraction
from typing import Any

from reference.life import HOLD, Evaluation, score_parts
from reference.scene import Episode
from schemas.journal import Approval
from schemas.packs.rules import GradedRule, LadderRule, LeveledRule, MatrixRule, ScorecardRule


def evaluate(evaluation: Evaluation) -> None:
    model, life = evaluation.model, evaluation.life
    assert isinstance(model, GradedRule)
    before = life.computed or life.level
    reached = _reached(evaluation, model, before)
    approval = getattr(model, "approval", None)
    if approval is None:
        _stand(evaluation, model, reached)
    else:
        _propose(evaluation, model, before, reached)


# Which level is met


def _reached(evaluation: Evaluation, model: GradedRule, before: str | None) -> str | None:
    """The level met, once it has been for as long as `for` asks; until then the one before."""
    met = _met(evaluation, model, before, model.level_names)
    if met == HOLD:
        return before
    return met if _has_held(evaluation, model, met, before) else before


def _has_held(evaluation: Evaluation, model: GradedRule, met: str | None, before: str | None) -> bool:
    life = evaluation.life
    if not model.for_ms:
        return True
    if met == before:
        life.since_ms = None
        return True
    if life.since_ms is None or life.pending != met:
        life.pending, life.since_ms = met, evaluation.now_ms
    if not evaluation.scene.is_over(life.since_ms + model.for_ms):
        return False
    life.since_ms = None
    return True


def _met(evaluation: Evaluation, model: GradedRule, stood_on: str | None, names: tuple[str, ...]) -> str | None:
    """The level met among some, `HOLD` where a warming feature may have kept from a higher one."""
    if not evaluation.is_valid:
        return None
    match model:
        case MatrixRule():
            level, is_unknown = _cell(evaluation, model)
        case LadderRule(by=None):
            level, is_unknown = _by_conditions(evaluation, model, names)
        case LadderRule(by=str(by)):
            level, is_unknown = _by_number(evaluation, model, evaluation.evaluate(by), stood_on, names)
        case ScorecardRule():
            scores = score_parts(evaluation).values()
            total = None if None in scores else sum(scores, Fraction(0))
            level, is_unknown = _by_number(evaluation, model, total, stood_on, names)
        case _:
            raise AssertionError(model)
    return HOLD if is_unknown and evaluation.is_warming else level


def _by_conditions(evaluation: Evaluation, model: LadderRule, names: tuple[str, ...]) -> tuple[str | None, bool]:
    is_unknown = False
    for name in reversed(names):
        holds = True if name == model.otherwise else evaluation.evaluate(str(model.levels[name]))
        if holds is True:
            return name, is_unknown
        is_unknown |= holds is None
    return None, is_unknown


def _by_number(
    evaluation: Evaluation, model: LeveledRule, measured: Any, stood_on: str | None, names: tuple[str, ...]
) -> tuple[str | None, bool]:
    lowest = names[0] if names and names[0] == model.otherwise else None
    if measured is None:
        return lowest, True
    cuts = {name: evaluation.scene.cut(evaluation.rule, name) for name in names}
    met = [name for name in names if (cut := cuts[name]) is None or measured >= cut]
    level = met[-1] if met else None
    if (
        model.leave_below is not None
        and stood_on in names
        and not any(names.index(stood_on) <= names.index(one) for one in met)
    ):
        start = cuts[stood_on]
        if start is not None and measured >= Fraction(model.leave_below) * start:
            return stood_on, False
    return level, False


def _cell(evaluation: Evaluation, model: MatrixRule) -> tuple[str | None, bool]:
    steps = []
    for axis in (model.rows, model.columns):
        measured = evaluation.evaluate(axis.by)
        if measured is None:
            return None, True
        steps.append(sum(evaluation.scene.book.number(evaluation.pack, cut) <= measured for cut in axis.cuts))
    return model.cells[steps[0]][steps[1]], False


# What follows


def _stand(evaluation: Evaluation, model: GradedRule, reached: str | None) -> None:
    """Close the episode of the level left and open one for the level reached."""
    life = evaluation.life
    if reached == life.level:
        if life.open is not None:
            _look_after(evaluation, life.open)
        elif life.left and not evaluation.is_cooling():
            _open(evaluation, model, reached, life.left.pop())
        return
    if life.open is not None:
        _leave(evaluation, life.open, reached)
    left, life.level = life.level, reached
    life.left = []
    if reached is None or reached in model.silent:
        return
    if evaluation.is_cooling():
        life.left = [left]
    else:
        _open(evaluation, model, reached, left)


def _open(
    evaluation: Evaluation, model: GradedRule, level: str | None, previous: str | None, proposed: bool = False
) -> None:
    assert level is not None
    names = model.level_names
    said: dict[str, Any] = {"level": level, "previous_level": previous if previous in names else None}
    if not isinstance(model, MatrixRule):
        said["rank"] = names.index(level)
        said["previous_rank"] = names.index(previous) if previous in names else None
    evaluation.open(said, proposed)


def _leave(evaluation: Evaluation, episode: Episode, reached: str | None) -> None:
    if evaluation.is_converted(episode):
        evaluation.close(episode, "converted")
        return
    reason = "ended" if reached is None else "level"
    evaluation.close(episode, "revoked", "late" if evaluation.scene.is_from_an_earlier_day else reason)


def _look_after(evaluation: Evaluation, episode: Episode) -> None:
    if evaluation.is_converted(episode):
        evaluation.close(episode, "converted")
    elif episode.expires_ms is not None and evaluation.scene.is_over(episode.expires_ms):
        evaluation.close(episode, "expired")
    else:
        evaluation.refresh(episode)


# Maker and checker


def _propose(evaluation: Evaluation, model: GradedRule, before: str | None, reached: str | None) -> None:
    life, names = evaluation.life, model.level_names
    first = names.index(model.approval.from_)  # type: ignore[attr-defined]
    needs_approval = reached is not None and names.index(reached) >= first
    proposal = life.proposed
    if proposal is not None and (reached != before or not needs_approval):
        _leave(evaluation, proposal, reached)
    if not needs_approval or (reached == before and life.level == reached):
        if not needs_approval:
            life.computed = None
        _stand(evaluation, model, reached)
    else:
        below = _met(evaluation, model, life.level, names[:first])
        _stand(evaluation, model, life.level if below == HOLD else below)
        if reached != before:
            life.computed = reached
            _open(evaluation, model, reached, life.level, proposed=True)
        elif life.proposed is not None:
            _look_after(evaluation, life.proposed)
    record = evaluation.scene.record
    if isinstance(record, Approval) and record.subject in (evaluation.rule, evaluation.pack):
        _answer(evaluation, model, record, proposal)


def _answer(evaluation: Evaluation, model: GradedRule, approval: Approval, proposal: Episode | None) -> None:
    """Take a checker's decision about a proposal that stood before it; any other is ignored."""
    life = evaluation.life
    if proposal is None or life.proposed is not proposal or approval.grade != proposal.level:
        return
    if approval.occurred_ms < proposal.opened_ms:
        return
    if approval.decision == "reject":
        evaluation.close(proposal, "revoked", "rejected")
        return
    if life.open is not None:
        evaluation.close(life.open, "revoked", "level")
    proposal.previous_level = life.level
    if proposal.rank is not None:
        names = model.level_names
        proposal.previous_rank = None if life.level is None else names.index(life.level)
    life.open, life.proposed = proposal, None
    life.level, life.computed = proposal.level, None
    evaluation.give_off(proposal, "released")
