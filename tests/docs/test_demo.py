"""`tagger demo`, as a newcomer runs it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

if os.environ.get("CI") != "true":  # there a missing part is a failure
    pytest.importorskip("noida_db", reason="the extra `demo` is not installed")

DEMO = [sys.executable, "-m", "streams.cli.main", "demo"]


def processes_of(folder: Path) -> list[int]:
    """Running processes that name the folder, as broker and worker of a demo in it do."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in environment and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def gone(folder: Path, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not processes_of(folder)


def environment(folder: Path) -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("TAGGER_")} | {
        "TMPDIR": str(folder)
    }


def test_it_shows_tags_and_accounts_for_every_record_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--events", "3000", "--seconds", "3"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^  tag 2025-\S+  S\d{6}  [a-z0-9-]+  (opened|released)", done.stdout, flags=re.M), (
        done.stdout
    )
    assert re.search(r"each of \d+ records has one fate", done.stdout), done.stdout
    assert "Where to look further" in done.stdout
    assert gone(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_killed_in_the_middle_takes_broker_and_worker_with_it(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*DEMO, "--events", "3000", "--seconds", "60"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    line = next((line for line in demo.stdout if " sent; " in line), "")
    assert line, "the demo ended before it sent anything"
    assert len(processes_of(tmp_path)) >= 3  # the demo, its broker and its worker
    os.kill(demo.pid, signal.SIGKILL)
    demo.wait()
    demo.stdout.close()
    assert gone(tmp_path)


def test_it_says_which_option_is_wrong() -> None:
    done = subprocess.run([*DEMO, "--events", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--events" in done.stderr
