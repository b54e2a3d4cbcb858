"""The machine a run shares with others."""

import os
import platform
import resource
from pathlib import Path


def cores() -> int:
    return os.cpu_count() or 1


def busy_seconds() -> float:
    """CPU time that all processes took since the machine started."""
    user, nice, system, _idle, _waiting, *rest = map(
        int, Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    )
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")


def our_seconds() -> float:
    """CPU time of this process and of those it started that have ended."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def told() -> str:
    """What this runs on."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {cores()} cores"
