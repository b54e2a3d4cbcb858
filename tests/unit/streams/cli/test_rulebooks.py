"""`tagger rules diff` and `show` of folders: what decides and differs, what follows, and the compiled form."""

import ast
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.bankday import BankCalendar
from streams.cli.compiled import laid_out
from streams.cli.rules import rules
from streams.rulebooks.folder import read_folder
from streams.settings import Settings
from tagger.codegen.guards import compile_look
from tagger.compiler.program import Program
from tagger.packs.rulebook import read_rulebook

RULES = Path(__file__).parents[4] / "rules"

PACK = """\
pack: p
title: A small pack
settings: {line: 100}
features:
  n: {count: transactions, over: 3d}
  same: {count: app_events, over: 3d}
rules:
  rich: {title: Rich, when: assets >= line, expires: 3d}
  busy: {when: n >= 3 and same >= 0}
"""
POLICY = "quiet_hours: {from: 21:00, to: 09:00}\ncaps: {push: {per_day: 1}}\n"


def write(folder: Path, pack: str = PACK, policy: str | None = None) -> str:
    folder.mkdir()
    (folder / "p.yaml").write_text(pack, encoding="utf-8")
    if policy is not None:
        (folder / "policy.yaml").write_text(policy, encoding="utf-8")
    return str(folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(rules, list(arguments), obj=Settings())


def test_diff_says_what_differs_and_what_follows(tmp_path: Path) -> None:
    changed = PACK.replace("line: 100", "line: 200").replace("transactions, over: 3d", "transactions, over: 4d")
    old = write(tmp_path / "old", policy=POLICY)
    new = write(tmp_path / "new", changed.split("  busy")[0] + "  calm: {when: n < 1}\n", "stale: 1h")
    result = run("diff", old, new)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [
        "~ p.features.n.over: 3d → 4d",
        "- p.rules.busy.when: n >= 3 and same >= 0",
        "+ p.rules.calm.when: n < 1",
        "~ p.settings.line: 100 → 200",
        "- policy.caps.push.per_day: 1",
        "- policy.quiet_hours.from: 21:00:00",
        "- policy.quiet_hours.to: 09:00:00",
        "+ policy.stale: 3600000",
        "! feature p.n begins to warm: it is new, or counts something else than before",
        "! rule busy is gone: its open episodes are revoked",
        "! the contact policy changes: every held tag is looked at again",
    ]
    told = json.loads(run("diff", old, new, "--json").stdout)
    assert told["differences"][0] == {"path": "p.features.n.over", "old": "3d", "new": "4d"}
    assert len(told["consequences"]) == 3


def test_diff_shows_what_a_deployment_sets_otherwise(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old"), write(tmp_path / "new")
    (tmp_path / "new" / "rulebook.yaml").write_text("version: 2\nsettings: {p: {line: 150}}\n", encoding="utf-8")
    result = run("diff", old, new)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == ["~ p.settings.line: 100 → 150"]


def test_better_words_are_no_difference_and_another_order_is(tmp_path: Path) -> None:
    old = write(tmp_path / "old")
    worded = write(tmp_path / "worded", PACK.replace("title: Rich, ", "").replace("A small pack", "Another"))
    assert run("diff", old, worded).exit_code == 0
    lines = PACK.splitlines(keepends=True)
    reordered = write(tmp_path / "reordered", "".join([*lines[:7], lines[8], lines[7]]))
    result = run("diff", old, reordered)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (1, "they say the same in another order")


def test_show_tells_the_policy_and_the_compiled_program(tmp_path: Path) -> None:
    folder = write(tmp_path / "rules", policy=POLICY)
    assert "caps: {'push': {'per_day': 1}" in run("show", folder).stdout
    assert json.loads(run("show", folder, "--json").stdout)["policy"]["quiet_hours"]["to"] == "09:00:00"
    compiled = run("show", folder, "--compiled").stdout
    assert "# --- transactions: updates p.n\n# may concern 2 of 2 rules" in compiled
    assert "# --- app_events: updates p.same\n# may concern 1 of 2 rules" in compiled
    assert "# when: assets >= line\ndef evaluate(env):\n" in compiled
    assert "# expires 259200 s" in compiled
    # What is shown is Python; comments apart, it compiles.
    compile(compiled, "shown", "exec")


def test_the_compiled_program_is_shown_in_lines_that_can_be_read_and_names_that_are_explained() -> None:
    compiled = run("show", str(RULES), "--compiled").stdout
    assert max(len(line) for line in compiled.splitlines()) <= 115
    compile(compiled, "shown", "exec")
    events = compiled.split("# features: ")[0].split("# --- ")[1:]
    for event in events:
        code = "".join(line for line in event.splitlines(keepends=True) if not line.startswith("#"))
        used = set(re.findall(r"\b_[ckv][0-9]+\b", code))
        assert used == set(re.findall(r"^#   (_[ckv][0-9]+) = ", event, flags=re.MULTILINE))
    assert re.search(r"#   _v[0-9]+ = highest assets ever\n", compiled)


def test_broken_lines_say_the_same_python() -> None:
    program = Program(read_rulebook(read_folder(RULES)), BankCalendar("Asia/Shanghai"))
    for source in ("transactions", "app_events", "profiles"):
        code = compile_look(program.reach[source].touched(-1), source).code
        shown = "\n".join(laid_out(code))
        assert shown.count("\n") > code.count("\n")
        assert ast.dump(ast.parse(shown)) == ast.dump(ast.parse(code))


@pytest.mark.parametrize("arguments", [("diff", "active", "rules"), ("show", "ab12cd34"), ("show", "active")])
def test_a_digest_is_looked_for_at_the_broker(arguments: tuple[str, ...]) -> None:
    settings = Settings(bootstrap="127.0.0.1:1")
    result = CliRunner().invoke(rules, list(arguments), obj=settings)
    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.output


def test_what_is_neither_folder_nor_digest_ends_with_2() -> None:
    result = run("show", "nowhere")
    assert result.exit_code == 2
    assert "a published digest (or its beginning)" in result.output


@pytest.mark.parametrize("at", ["0001-01-01", "9999-12-31", "2200-01-01 00:00", "tomorrow"])
def test_a_time_that_no_event_has_is_refused_before_anything_is_written(at: str) -> None:
    result = CliRunner().invoke(rules, ["activate", "ab12cd34", "--at", at], obj=Settings(bootstrap="127.0.0.1:1"))
    assert result.exit_code == 2, result.output
    assert "Invalid value for --at: expected a" in result.output
    assert at in result.output
