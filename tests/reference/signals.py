"""Signals: a condition, or one measured on its own since each matching event (rulebook.md sections 3, 4)."""

from reference.life import HOLD, Evaluation
from reference.scene import Watch
from schemas.packs.rules import SignalRule

MOST_WATCHES = 8


def evaluate(evaluation: Evaluation) -> None:
    model = evaluation.model
    assert isinstance(model, SignalRule)
    if model.after is None:
        _plain(evaluation, model)
    else:
        _watched(evaluation, model)


def _plain(evaluation: Evaluation, model: SignalRule) -> None:
    life, verdict = evaluation.life, evaluation.verdict(model.when)
    if verdict is True:
        life.since_ms = evaluation.now_ms if life.since_ms is None else life.since_ms
    elif verdict != HOLD:
        life.since_ms = None
    if life.open is not None:
        _look_after(evaluation, model, verdict)
        if life.open is None:
            life.was_untrue = verdict is not True and verdict != HOLD
    elif verdict is True:
        has_held = _has_held(evaluation, model, life.since_ms)
        if life.was_untrue and has_held and not evaluation.is_cooling() and not _until(evaluation, model):
            evaluation.open({})
    elif verdict != HOLD:
        life.was_untrue = True


def _has_held(evaluation: Evaluation, model: SignalRule, since_ms: int | None) -> bool:
    assert since_ms is not None
    return not model.for_ms or evaluation.scene.is_over(since_ms + model.for_ms)


def _until(evaluation: Evaluation, model: SignalRule) -> bool:
    return model.until is not None and evaluation.evaluate(model.until) is True


def _look_after(evaluation: Evaluation, model: SignalRule, verdict: object) -> None:
    """Close the open episode, if anything does; else refresh it."""
    episode = evaluation.life.open
    assert episode is not None
    late = "late" if evaluation.scene.is_from_an_earlier_day else None
    if evaluation.is_converted(episode):
        evaluation.close(episode, "converted")
    elif model.until is not None and _until(evaluation, model):
        evaluation.close(episode, "revoked", late or "until")
    elif model.until is None and verdict is not True and verdict != HOLD:
        evaluation.close(episode, "revoked", late or "ended")
    elif episode.expires_ms is not None and evaluation.scene.is_over(episode.expires_ms):
        evaluation.close(episode, "expired")
    else:
        evaluation.refresh(episode)


# Watches


def _watched(evaluation: Evaluation, model: SignalRule) -> None:
    life, scene = evaluation.life, evaluation.scene
    assert model.within_ms is not None
    if evaluation.matches(model.after):
        watch = Watch(scene.record, len(scene.sight.transactions) - 1)
        if len(life.watches) < MOST_WATCHES and not scene.is_over(watch.opened_ms + model.within_ms):
            life.watches.append(watch)
    was_open = life.open
    tripped = [watch for watch in list(life.watches) if _trips(evaluation, model, watch)]
    opens = [] if was_open is not None or _uses_up(evaluation) else tripped[:1]
    life.watches = [
        watch
        for watch in life.watches
        if watch not in tripped and not scene.is_over(watch.opened_ms + model.within_ms)
    ]
    if was_open is not None:
        evaluation.watch = was_open.watch
        _look_after(evaluation, model, evaluation.verdict(model.when))
    for watch in opens:
        evaluation.watch = watch
        evaluation.open({"watch": watch})


def _trips(evaluation: Evaluation, model: SignalRule, watch: Watch) -> bool:
    assert model.within_ms is not None
    if evaluation.now_ms > watch.opened_ms + model.within_ms:
        return False
    evaluation.watch = watch
    verdict = evaluation.verdict(model.when)
    if verdict is not True:
        watch.since_ms = watch.since_ms if verdict == HOLD else None
        return False
    watch.since_ms = evaluation.now_ms if watch.since_ms is None else watch.since_ms
    return _has_held(evaluation, model, watch.since_ms) and not _until(evaluation, model)


def _uses_up(evaluation: Evaluation) -> bool:
    """Whether a watch that trips now trips in the cooldown, whose last instant belongs to it."""
    opened, cooldown = evaluation.life.last_opened_ms, evaluation.model.cooldown_ms
    return bool(cooldown) and opened is not None and evaluation.now_ms <= opened + (cooldown or 0)
