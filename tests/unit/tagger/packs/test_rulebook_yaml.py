"""YAML with places: what is read as text, what is refused, and that nothing crashes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.packs.errors import RulebookError
from tagger.packs.rulebook import read_rulebook
from tagger.packs.yaml_tree import MAX_CHARACTERS, Place, Tree, YamlProblem, read_tree


def read(text: str) -> Tree:
    tree = read_tree(text)
    assert isinstance(tree, Tree), tree
    return tree


def test_every_scalar_is_text() -> None:
    text = "a: on\nb: {from: 21:00, to: 2026-03-02 09:00}\nc: [1, 0x10, ~, 'x', null]\nd:\n<<: 1_0\n"
    assert read(text).plain() == {
        "a": "on",
        "b": {"from": "21:00", "to": "2026-03-02 09:00"},
        "c": ["1", "0x10", "~", "x", "null"],
        "d": "",
        "<<": "1_0",
    }


def test_places_of_keys_and_values() -> None:
    tree = read("pack: p\nrules:\n  r: {when: 'x > 1', for:   30m}\n  s:\n    - a\n    - >\n      b\n      c\n")
    when, key = tree.find(("rules", "r", "<signal>", "when"))
    assert (key, when.place, when.inset) == (Place(3, 7), Place(3, 13), 1)
    assert tree.find(("rules", "r", "for"))[0].place == Place(3, 29)
    assert tree.find(("rules", "s", 0))[1] == Place(5, 7)
    folded = tree.find(("rules", "s", 1))[0]
    assert (folded.value, folded.inset) == ("b c\n", None)
    assert tree.find(("rules", "nosuch", 7))[1] == Place(2, 1)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: &x 1\nb: *x", Place(1, 4), "anchors and aliases"),
        ("a: 1\nb: *x", Place(2, 4), "anchors and aliases"),
        ("a: !!python/object:os.system x", Place(1, 4), "the tag"),
        ("a: !x {}", Place(1, 4), "the tag"),
        ("? [a]\n: b", Place(1, 3), "a list or mapping as a key"),
        ('a: "\\ud800"', Place(1, 4), "half of a character"),
        ("a: 1\n---\nb: 1", Place(2, 1), "a second document"),
        ("- 1", Place(1, 1), "holds no mapping"),
        ("word", Place(1, 1), "holds no mapping"),
        ("", Place(1, 1), "holds no mapping"),
        ("# nothing\n", Place(1, 1), "holds no mapping"),
        ("a: [1", Place(1, 6), "not YAML"),
        ("a: \t- 1", Place(1, 4), "not YAML"),
        ("a: \x07", Place(1, 1), "not YAML"),
        ("a: " + "[" * 60_000, Place(1, 15), "nested more than"),
        ("a: " + "{a: " * 10_000, Place(1, 45), "nested more than"),
        ("a: " + "x" * MAX_CHARACTERS, Place(1, 1), "characters"),
    ],
)
def test_refused(text: str, place: Place, message: str) -> None:
    problem = read_tree(text)
    assert isinstance(problem, YamlProblem)
    assert message in problem.message
    assert problem.place == place


def test_an_expression_that_begins_with_a_quotation_mark_is_told_how_to_stand() -> None:
    problem = read_tree('when: "vip" in labels\nb: 1')
    assert isinstance(problem, YamlProblem)
    assert problem.expected is not None
    assert "'…'" in problem.expected


def test_a_key_given_twice_is_told_and_the_first_stands() -> None:
    tree = read("a: 1\nb: {c: {d: 1}, c: [2, {d: 3}], e: 4}\na: 3\nf: 5")
    assert tree.plain() == {"a": "1", "b": {"c": {"d": "1"}, "e": "4"}, "f": "5"}
    assert tree.keys["a"] == Place(1, 1)
    assert [(problem.place, problem.message) for problem in tree.problems] == [
        (Place(2, 16), "`c` stands here twice (first in line 2)"),
        (Place(3, 1), "`a` stands here twice (first in line 1)"),
    ]


def test_many_small_aliases_cannot_blow_up() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    assert isinstance(read_tree(bomb), YamlProblem)


PIECES = st.sampled_from(
    [
        "pack: p\n",
        "rules:\n",
        "  r:\n",
        "    when: assets > 1\n",
        "    levels: {a: 1}\n",
        "    by: assets\n",
        "  ",
        "- ",
        "features:\n",
        "  f: {count: transactions, over: 7d}\n",
        "  g: {level: r}\n",
        "cases:\n",
        "  - it: x\n",
        "    given: [{at: 2026-03-02 09:00, credit: 1}]\n",
        "    expect: []\n",
        "settings: {a: 1}\n",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "&a ",
        "*a",
        "!t ",
        "'",
        '"',
        "|\n",
        ">\n",
        "? ",
        "---\n",
        "...\n",
        "\t",
        "#",
        "%",
        "\x00",
        "万",
        "null",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=14).map("".join) | st.text(max_size=40))
def test_any_text_is_a_rulebook_or_a_rulebook_error(text: str) -> None:
    try:
        rulebook = read_rulebook({"x.yaml": text})
    except RulebookError as error:
        told = [str(each) for each in error.errors]
    else:
        told = [f"x.yaml:{pack.pack}" for pack in rulebook.packs]
    assert told
    assert all(line.startswith("x.yaml:") for line in told)


TREES = st.recursive(
    st.sampled_from(
        ["", "1", "x", "7d", "assets > 1", "transactions", "otherwise", "2026-03-02 09:00", "r", "true"],
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "pack",
                    "rules",
                    "features",
                    "settings",
                    "cases",
                    "r",
                    "f",
                    "when",
                    "by",
                    "levels",
                    "count",
                    "over",
                    "of",
                    "given",
                    "expect",
                    "it",
                    "at",
                    "credit",
                    "opened",
                    "offer",
                    "offers",
                    "valid",
                    "from",
                    "after",
                    "where",
                    "profile",
                    "approval",
                    "feedback",
                    "converts",
                    "silent",
                    "value",
                    "sum",
                    "top",
                    "level",
                    "expr",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=14,
)


def written(tree: object) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {written(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(written(value) for value in tree) + "]"
    return f"'{tree}'"


@settings(max_examples=200, deadline=None)
@given(TREES, TREES, TREES)
def test_any_shape_is_a_rulebook_or_a_rulebook_error(rules: object, features: object, cases: object) -> None:
    text = (
        f"pack: p\nrules: {{r: {written(rules)}, s: {{by: assets, levels: {written(rules)}}}}}\n"
        f"features: {{f: {written(features)}, g: {{level: r}}}}\n"
        f"cases: [{written(cases)}]\nsettings: {written(features)}"
    )
    try:
        told = [pack.pack for pack in read_rulebook({"x.yaml": text}).packs]
    except RulebookError as error:
        told = [str(each) for each in error.errors]
    assert told
