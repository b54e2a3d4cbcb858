"""A child process ends with us, however we end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.child import Child, free_port


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int, seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_a_killed_parent_takes_its_child_with_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from streams.child import Child\n"
        f"child = Child(['sleep', '300'], Path({str(tmp_path / 'log')!r}))\n"
        "print(child.pid, flush=True); time.sleep(300)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert alive(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(pid)


def test_stop_ends_a_child_that_ignores_the_request_by_force(tmp_path: Path) -> None:
    child = Child(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log")
    deadline = time.monotonic() + 10
    while "ready" not in child.log_tail() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert child.stop(timeout=0.3) == -signal.SIGKILL
    assert not child.running


def test_stop_wakes_a_frozen_child_so_that_it_can_end_in_order(tmp_path: Path) -> None:
    child = Child(["sleep", "300"], tmp_path / "log")
    child.signal(signal.SIGSTOP)
    assert child.stop(timeout=10) == -signal.SIGTERM


def test_a_program_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Child(["/no/such/program"], tmp_path / "log")


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    assert all(1024 < free_port() < 32_768 for _ in range(20))
