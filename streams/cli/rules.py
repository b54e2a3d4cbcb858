"""`tagger rules`: check, test and read the packs of a folder; `streams.cli.rulebooks` puts them in force."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.bankday import BankCalendar
from streams.cli import rulebooks
from streams.cli.compiled import compiled_lines
from streams.cli.exits import CommandError
from streams.cli.pack_lines import pack_lines
from streams.exits import BAD_CONFIGURATION, NOT_SO
from streams.rulebooks.cost import Estimate, Measured, estimate, measure
from streams.rulebooks.folder import UnreadablePacksError, read_packs
from streams.settings import Settings
from tagger.cases.run import CaseResult, run_cases
from tagger.compiler.program import Program
from tagger.expr.functions import FUNCTIONS
from tagger.lint.checks import lint
from tagger.lint.state_bounds import Bound, state_bounds
from tagger.packs.errors import PackError, RulebookError
from tagger.packs.rulebook import Rulebook, read_rulebook

_EXIT_CODES = "Exit codes: 0 fine, 1 {not_so}, 2 no such folder or packs that cannot be read."
_DIRECTORY = click.argument(
    "directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False)
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
_PLAIN_WIDTH = 120


@click.group()
def rules() -> None:
    """Check, test, read, compare and put in force rule packs.

    A pack is a YAML file that says what to look for in a customer's events, with cases that show it. DIR is the
    folder of the packs; without it, the setting `rules` (TAGGER_RULES).
    """


for _command in (
    rulebooks.publish,
    rulebooks.activate,
    rulebooks.list_rulebooks,
    rulebooks.diff,
    rulebooks.pause,
    rulebooks.resume,
):
    rules.add_command(_command)


@rules.command(epilog=_EXIT_CODES.format(not_so="something doubtful was found"))
@_DIRECTORY
@_JSON
@click.option(
    "--measure", "measures", is_flag=True, help="Fold a made-up bank, and tell what an event costs here."
)
@click.pass_obj
def check(settings: Settings | None, directory: Path | None, as_json: bool, measures: bool) -> None:
    """Read the packs and look for what cannot be meant.

    Errors (unknown names, types that do not go together, wrong windows) and findings (a rule without cases, a
    level never reached, a condition always true) are told one a line: file:line:column: what is wrong; what was
    expected; did you mean. Then how many bytes each feature and rule may keep for a customer, and about how much
    CPU an event takes that touches all it can; --measure folds a made-up bank and tells what it took.
    """
    folder = _folder(settings, directory)
    rulebook = _read(folder, as_json)
    findings = lint(rulebook)
    bounds = state_bounds(rulebook)
    settings = settings or Settings()
    estimates = estimate(Program(rulebook, BankCalendar(settings.zone)))
    measured = measure(rulebook, settings) if measures else None
    if as_json:
        _print_json(
            {
                "rulebook": rulebook.name,
                "errors": [],
                "findings": [_error_json(finding) for finding in findings],
                "state_bytes": {bound.name: bound.bytes for bound in bounds},
                "cost": [asdict(one) for one in estimates],
                "measured": None if measured is None else asdict(measured),
            }
        )
    else:
        for finding in findings:
            click.echo(str(finding))
        _print_bounds(bounds)
        _print_cost(estimates, measured)
        cases = sum(len(pack.cases) for pack in rulebook.packs)
        click.echo(
            f"{rulebook.name}: {len(rulebook.packs)} packs, {len(rulebook.rules)} rules, {cases} cases, "
            f"{len(findings)} findings"
        )
    if findings:
        raise SystemExit(NOT_SO)


@rules.command(epilog=_EXIT_CODES.format(not_so="a case failed"))
@_DIRECTORY
@_JSON
@click.option("--pack", "only_pack", help="Only the cases of this pack.")
@click.option("-v", "--verbose", is_flag=True, help="Name the cases that pass, too.")
@click.pass_obj
def test(
    settings: Settings | None, directory: Path | None, as_json: bool, only_pack: str | None, verbose: bool
) -> None:
    """Run the cases of the packs: events in, all tags out.

    Every case runs under all packs of the folder, through the same core that runs live.
    """
    folder = _folder(settings, directory)
    rulebook = _read(folder, as_json)
    if only_pack is not None and only_pack not in {pack.pack for pack in rulebook.packs}:
        known = ", ".join(pack.pack for pack in rulebook.packs)
        raise CommandError(f"expected one of the packs {known}, got {only_pack}", BAD_CONFIGURATION)
    began = time.monotonic()
    core = (settings or Settings()).core()
    results = [result for result in run_cases(rulebook, core) if only_pack in {None, result.pack}]
    failed = [result for result in results if not result.passed]
    if as_json:
        _print_json({"rulebook": rulebook.name, "cases": [_case_json(result) for result in results]})
    else:
        _print_results(results, verbose)
        click.echo(
            f"{rulebook.name}: {len(results) - len(failed)} of {len(results)} cases pass, "
            f"{time.monotonic() - began:.1f} s"
        )
    if failed:
        raise SystemExit(NOT_SO)


@rules.command(epilog=_EXIT_CODES.format(not_so="never"))
@click.argument("which", metavar="[DIR|DIGEST|active]", required=False)
@_JSON
@click.option("--functions", is_flag=True, help="The functions an expression may call, instead of the packs.")
@click.option(
    "--compiled", is_flag=True, help="What runs: by kind of event, features, rules and the generated Python."
)
@click.pass_obj
def show(settings: Settings | None, which: str | None, as_json: bool, functions: bool, compiled: bool) -> None:
    """Read packs aloud: settings, features and rules of each, and the contact policy.

    Those of a folder, or of a rulebook that was published: by its digest, the digest's beginning, or `active`.
    """
    if functions:
        for spec in FUNCTIONS.values():
            click.echo(f"{spec.usage}\n    {spec.summary}")
        return
    folder = _folder(settings, None if which is None else Path(which))
    if which is None or folder.is_dir():
        rulebook = _read(folder, as_json)
    else:
        rulebook = rulebooks.find_rulebook(settings or Settings(), which)
    if compiled:
        for line in compiled_lines(rulebook, BankCalendar((settings or Settings()).zone)):
            click.echo(line)
        return
    if as_json:
        packs = [pack.model_dump(mode="json", by_alias=True, exclude_defaults=True) for pack in rulebook.packs]
        policy = _policy_json(rulebook)
        _print_json({"rulebook": rulebook.name, "digest": rulebook.digest, "packs": packs, "policy": policy})
        return
    click.echo(f"rulebook {rulebook.name}")
    for pack in rulebook.packs:
        click.echo("\n".join(["", *pack_lines(pack)]))
    if rulebook.policy is not None:
        click.echo("\npolicy")
        for key, value in (_policy_json(rulebook) or {}).items():
            click.echo(f"  {key}: {value}")


def _policy_json(rulebook: Rulebook) -> dict[str, Any] | None:
    policy = rulebook.policy
    return None if policy is None else policy.model_dump(mode="json", by_alias=True, exclude_none=True)


def _folder(settings: Settings | None, directory: Path | None) -> Path:
    return directory if directory is not None else (settings.rules if settings is not None else Path("rules"))


def _read(folder: Path, as_json: bool) -> Rulebook:
    """Read the packs, or end the command with all that is wrong with them."""
    try:
        files = {path.as_posix(): text for path, text in read_packs(folder).items()}
    except UnreadablePacksError as error:
        raise CommandError(str(error), BAD_CONFIGURATION) from error
    try:
        return read_rulebook(files)
    except RulebookError as error:
        if as_json:
            _print_json({"rulebook": None, "errors": [_error_json(e) for e in error.errors]})
        else:
            for each in error.errors:
                click.echo(str(each), err=True)
            count = len(error.errors)
            click.echo(f"{count} error{'s' if count > 1 else ''} in {folder}", err=True)
        raise SystemExit(BAD_CONFIGURATION) from error


def _error_json(error: PackError) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "message": error.message,
        "expected": error.expected,
        "nearest": error.nearest,
    }


def _case_json(result: CaseResult) -> dict[str, Any]:
    return {"pack": result.pack, "it": result.it, "passed": result.passed, "message": result.message}


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False))


def _console() -> Console:
    console = Console()
    # Piped, a table is as wide as it needs to be, whatever the terminal was.
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def _print_bounds(bounds: Sequence[Bound]) -> None:
    table = Table("feature or rule", "verb or kind", box=None, header_style="bold")
    table.add_column("bytes a customer, at most", justify="right")
    for bound in bounds:
        table.add_row(escape(bound.name), bound.verb, f"{bound.bytes:,}")
    table.add_row("together", "", f"{sum(bound.bytes for bound in bounds):,}", style="bold")
    _console().print(table)


def _print_cost(estimates: Sequence[Estimate], measured: Measured | None) -> None:
    table = Table("event", box=None, header_style="bold")
    heads = ["features it updates", "rules it may concern", "about CPU µs"]
    for head in [*heads, *(["measured CPU µs"] if measured else [])]:
        table.add_column(head, justify="right")
    for one in estimates:
        row = [one.kind, str(one.features), str(one.rules), f"{one.cpu_us:.0f}"]
        if measured is not None:
            cpu_us = measured.cpu_us.get(one.kind)
            row.append("none came" if cpu_us is None else f"{cpu_us:.1f}")
        table.add_row(*row)
    _console().print(table)
    if measured is not None:
        mean, largest = measured.state_bytes
        events = sum(measured.events.values())
        click.echo(
            f"measured over {events:,} made-up events: {measured.commit_us:.1f} µs an event to write states, "
            f"{measured.day_us:.1f} µs a customer and day that passes; a state has {mean:,} bytes in the mean, "
            f"{largest:,} at most"
        )


def _print_results(results: Sequence[CaseResult], verbose: bool) -> None:
    for result in results:
        if not result.passed:
            click.echo(click.style("FAILED ", fg="red") + f"{result.pack}: {result.it}")
            click.echo("    " + str(result.message).replace("\n", "\n    "))
        elif verbose:
            click.echo(click.style("passed ", fg="green") + f"{result.pack}: {result.it}")
