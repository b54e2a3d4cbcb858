"""The models that are exported and the structures that run are one contract: same fields, types, defaults."""

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from schemas import deadletters, journal, journal_models, outputs, tags
from schemas.examples import TAG_EXAMPLE, dead_letter_example, journal_examples
from schemas.journal import decode_record, encode_record

PAIRS = [
    *((getattr(tags, name), getattr(outputs, name)) for name in (
        "TagEvent", "Evidence", "Offer", "Delivery", "RecordCause", "DeadlineCause"
    )),
    *((getattr(deadletters, name), getattr(outputs, name)) for name in ("DeadLetter", "DeadLetterSource")),
    *((getattr(journal, name), getattr(journal_models, name)) for name in (
        "Transaction", "AppEvent", "Profile", "Approval", "Feedback", "Tick", "Activation", "Pause", "Attributes",
        "Card", "Holding", "Consent",
    )),
]  # fmt: skip


def shape(annotation: Any) -> Any:
    """A type without what only documents it; structures, models and `Source` by name."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape(args[0])
    if origin in (Union, types.UnionType):
        flat = [shape(arg) for arg in args if arg is not msgspec.UnsetType]
        parts = frozenset().union(*(part if isinstance(part, frozenset) else {part} for part in flat))
        return parts if len(parts) > 1 else next(iter(parts))
    if origin is Literal:
        return ("literal", frozenset(args))
    if annotation is journal.Source:
        return (tuple, (str, int, int))
    if origin is not None:
        return (origin, tuple(arg if arg is ... else shape(arg) for arg in args))
    return (
        annotation.__name__ if isinstance(annotation, type) and annotation.__module__ != "builtins" else annotation
    )


def without_none(part: Any) -> Any:
    left = part - {type(None)} if isinstance(part, frozenset) else part
    return next(iter(left)) if isinstance(left, frozenset) and len(left) == 1 else left


@pytest.mark.parametrize(("struct", "model"), PAIRS, ids=lambda one: one.__name__)
def test_structure_and_model_have_the_same_fields_types_and_defaults(struct: type, model: type[BaseModel]) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    modelled = {name: field for name, field in model.model_fields.items() if name != "record"}
    assert list(fields) == list(modelled) or set(fields) == set(modelled)
    hints, model_hints = get_type_hints(struct, include_extras=True), get_type_hints(model, include_extras=True)
    for name, field in fields.items():
        expected, got = shape(hints[name]), shape(model_hints[name])
        default = modelled[name].get_default(call_default_factory=True)
        if field.default is msgspec.UNSET:  # left out where it says nothing; None stands for that in the model
            assert (without_none(got), default) == (without_none(expected), None), name
            continue
        assert got == expected, name
        if field.default is msgspec.NODEFAULT:
            assert default is PydanticUndefined, name
        else:
            plain = default.model_dump() if isinstance(default, BaseModel) else default
            assert plain == as_plain(field.default), name


def as_plain(value: Any) -> Any:
    return msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value


def test_the_journal_has_a_model_for_each_kind_of_record() -> None:
    tags_of_structs = {str(kind.__struct_config__.tag) for kind in get_args(journal.JournalRecord)}
    union = get_args(journal_models.JournalRecord.model_fields["root"].annotation)
    assert {get_args(kind.model_fields["record"].annotation)[0] for kind in union} == tags_of_structs
    assert set(journal_examples()) == tags_of_structs


@pytest.mark.parametrize("kind", sorted(journal_examples()))
def test_a_journal_record_reads_alike_by_both(kind: str) -> None:
    record = journal_examples()[kind]
    value = encode_record(record)
    model = journal_models.JournalRecord.model_validate_json(value)
    assert decode_record(model.model_dump_json(exclude_unset=True).encode()) == record
    assert decode_record(model.model_dump_json().encode()) == record


@pytest.mark.parametrize(
    "cause",
    [
        tags.RecordCause(topic="bank.transactions", partition=0, offset=8123, event_id="t-9"),
        tags.RecordCause(topic="bank.transactions", event_id="t-9"),
        tags.DeadlineCause(deadline="2026-03-04T10:00:00+08:00"),
    ],
)
def test_a_tag_event_is_written_as_its_model_reads_it(cause: tags.RecordCause | tags.DeadlineCause) -> None:
    # The two causes are told apart by their fields, which msgspec writes and does not read.
    parts = {"offer": tags.Offer, "delivery": tags.Delivery, "evidence": tuple[tags.Evidence, ...]}
    members = {name: msgspec.convert(part, parts.get(name, Any)) for name, part in TAG_EXAMPLE.items()}
    value = tags.encode_tag(tags.TagEvent(**{**members, "cause": cause}))
    expected = {**TAG_EXAMPLE, "cause": msgspec.to_builtins(cause)}
    assert value == msgspec.json.encode(expected)
    assert outputs.TagEvent.model_validate_json(value).model_dump_json(exclude_unset=True).encode() == value


def test_a_dead_letter_reads_alike_by_both() -> None:
    letter = dead_letter_example()
    value = deadletters.encode_dead_letter(letter)
    assert (letter.reason, letter.field, letter.got) == ("bad_value", "amount", '"5.5e4"')
    assert outputs.DeadLetter.model_validate_json(value).model_dump_json(exclude_unset=True).encode() == value
