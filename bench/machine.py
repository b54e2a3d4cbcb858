"""What the figures were measured on, without names of hosts, users or folders."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from kafka_broker import VERSION as KAFKA_VERSION

_LIBRARIES = ("faust-streaming", "aiokafka", "msgspec", "pydantic", "redis")


def describe_machine() -> dict[str, str]:
    """Cores, CPU, memory, system and versions, ready to print."""
    return {
        "cores": str(os.cpu_count()),
        "CPU": _after(Path("/proc/cpuinfo"), "model name"),
        "memory": f"{int(_after(Path('/proc/meminfo'), 'MemTotal').split()[0]) / 1024**2:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, {_system()}",
        "Python": platform.python_version(),
        "Kafka": f"{KAFKA_VERSION}, one node on the same machine",
        "Java": _first_quoted(["java", "-version"]),
        "Redis": _redis(),
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
    }


def load_average() -> str:
    """The machine's load over 1, 5 and 15 minutes."""
    return " ".join(f"{load:.2f}" for load in os.getloadavg())


def _after(file: Path, name: str) -> str:
    if not file.is_file():
        return "0 (unknown here)"
    found = re.search(rf"^{name}\s*:\s*(.+)$", file.read_text(), flags=re.M)
    return found[1].strip() if found else "unknown"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.machine()


def _printed(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _first_quoted(command: list[str]) -> str:
    found = re.search(r'"([^"]+)"', _printed(command))
    return found[1] if found else "unknown"


def _redis() -> str:
    found = re.search(r"v=(\S+)", _printed(["redis-server", "--version"]))
    return found[1] if found else "unknown"
