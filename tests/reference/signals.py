"""Signals: a condition, or one measured on its own since each matching event (rulebook.md sections 3, 4)."""

from reference.life import HOLD, Turn
from reference.scene import Watch
from schemas.packs.pack import SignalRule

MOST_WATCHES = 8


def evaluate(turn: Turn) -> None:
    model = turn.model
    assert isinstance(model, SignalRule)
    if model.after is None:
        _plain(turn, model)
    else:
        _watched(turn, model)


def _plain(turn: Turn, model: SignalRule) -> None:
    life, verdict = turn.life, turn.verdict(model.when)
    if verdict is True:
        life.since_ms = turn.now_ms if life.since_ms is None else life.since_ms
    elif verdict != HOLD:
        life.since_ms = None
    if life.open is not None:
        _look_after(turn, model, verdict)
        if life.open is None:
            life.was_untrue = verdict is not True and verdict != HOLD
    elif verdict is True:
        has_held = _has_held(turn, model, life.since_ms)
        if life.was_untrue and has_held and not turn.is_cooling() and not _until(turn, model):
            turn.open({})
    elif verdict != HOLD:
        life.was_untrue = True


def _has_held(turn: Turn, model: SignalRule, since_ms: int | None) -> bool:
    assert since_ms is not None
    return not model.for_ms or turn.scene.is_over(since_ms + model.for_ms)


def _until(turn: Turn, model: SignalRule) -> bool:
    return model.until is not None and turn.evaluate(model.until) is True


def _look_after(turn: Turn, model: SignalRule, verdict: object) -> None:
    """Close the open episode, if anything does; else refresh it."""
    episode = turn.life.open
    assert episode is not None
    late = "late" if turn.scene.is_from_an_earlier_day else None
    if turn.is_converted(episode):
        turn.close(episode, "converted")
    elif model.until is not None and _until(turn, model):
        turn.close(episode, "revoked", late or "until")
    elif model.until is None and verdict is not True and verdict != HOLD:
        turn.close(episode, "revoked", late or "ended")
    elif episode.expires_ms is not None and turn.scene.is_over(episode.expires_ms):
        turn.close(episode, "expired")
    else:
        turn.refresh(episode)


# Watches


def _watched(turn: Turn, model: SignalRule) -> None:
    life, scene = turn.life, turn.scene
    assert model.within_ms is not None
    if turn.matches(model.after):
        watch = Watch(scene.record)
        if len(life.watches) < MOST_WATCHES and not scene.is_over(watch.opened_ms + model.within_ms):
            life.watches.append(watch)
    was_open = life.open
    tripped = [watch for watch in list(life.watches) if _trips(turn, model, watch)]
    opens = [] if was_open is not None or _uses_up(turn) else tripped[:1]
    life.watches = [
        watch
        for watch in life.watches
        if watch not in tripped and not scene.is_over(watch.opened_ms + model.within_ms)
    ]
    if was_open is not None:
        turn.watch = was_open.watch
        _look_after(turn, model, turn.verdict(model.when))
    for watch in opens:
        turn.watch = watch
        turn.open({"watch": watch})


def _trips(turn: Turn, model: SignalRule, watch: Watch) -> bool:
    assert model.within_ms is not None
    if turn.now_ms > watch.opened_ms + model.within_ms:
        return False
    turn.watch = watch
    verdict = turn.verdict(model.when)
    if verdict is not True:
        watch.since_ms = watch.since_ms if verdict == HOLD else None
        return False
    watch.since_ms = turn.now_ms if watch.since_ms is None else watch.since_ms
    return _has_held(turn, model, watch.since_ms) and not _until(turn, model)


def _uses_up(turn: Turn) -> bool:
    """Whether a watch that trips now trips in the cooldown, whose last instant belongs to it."""
    opened, cooldown = turn.life.last_opened_ms, turn.model.cooldown_ms
    return bool(cooldown) and opened is not None and turn.now_ms <= opened + (cooldown or 0)
