"""Programs that tests need beside Python: found, installed where that is possible, or named as missing."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tagger"


class MissingPartError(Exception):
    """A program is not on this machine and cannot be installed from here."""


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold a lock between processes: two test runs on one machine must not install the same thing at once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def program(command: str, package: str) -> str:
    """Path of a program, installed from its Debian package when it is missing and we may.

    Raises:
        MissingPartError: not there, and no root or no apt-get here, or the installation failed.
    """
    found = shutil.which(command)
    if found:
        return found
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingPartError(
            f"expected the program `{command}` (Debian package {package}) on the PATH, found none"
        )
    with exclusive("apt"):
        found = shutil.which(command)
        if found:
            return found
        for step in (["update"], ["install", "-y", "--no-install-recommends", package]):
            _apt(command, step)
    found = shutil.which(command)
    if not found:
        raise MissingPartError(
            f"expected `{command}` from the package {package}, which is installed and has it not"
        )
    return found


def _apt(command: str, step: list[str]) -> None:
    done = subprocess.run(
        ["apt-get", "-q", *step],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise MissingPartError(
            f"expected `{command}`, missing; `apt-get {' '.join(step)}` failed: {' / '.join(last)}"
        )
