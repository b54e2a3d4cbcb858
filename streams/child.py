"""A server run as a child process that never outlives us.

`Child` starts a program in a session of its own, so that Ctrl-C reaches only us and servers are stopped in
order, and beside it a guard: a shell that waits on a pipe from us and ends the program when the pipe closes.
A pipe closes however we die, `kill -9` included, which `atexit` and signal handlers do not cover. (Linux's
`PR_SET_PDEATHSIG` would need no guard, but fires when the *thread* that started the child ends.)
"""

import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_GUARD = 'read -r _; kill -TERM "$1" 2>/dev/null; sleep 5; kill -KILL "$1" 2>/dev/null'
_PORTS = range(15_000, 32_000)


def free_port() -> int:
    """A free TCP port below the range that systems hand out for outgoing connections.

    Inside that range, a client that retries while its server is down may be given the server's very port,
    connect to itself, and keep the server from coming back.

    Raises:
        OSError: a hundred random ports were all taken.
    """
    for port in random.sample(_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"expected a free port between {_PORTS.start} and {_PORTS.stop}, found none in 100 tries")


class Child:
    """A running child process and its guard.

    Args:
        command: program and arguments.
        log: file that standard output and error are appended to.
        env: the child's whole environment; ours when None.
    """

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True
            )
        try:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "guard", str(self.pid)], stdin=subprocess.PIPE, start_new_session=True
            )
        except BaseException:
            self._process.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code once ended, negative for a signal."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Send a signal, such as SIGSTOP and SIGCONT, if the child still runs."""
        if self.running:
            os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait until it ends by itself; returns the exit code."""
        return self._process.wait()

    def stop(self, timeout: float = 20.0) -> int:
        """End it gracefully, by force after `timeout` seconds; returns the exit code."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._ended()

    def kill(self) -> int:
        """End it at once, with SIGKILL; returns the exit code."""
        self._process.kill()
        return self._ended()

    def log_tail(self, lines: int = 30) -> str:
        """The end of what it printed, for error messages."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _ended(self) -> int:
        code = self._process.wait()
        # The guard knows only a process id, which the system may hand out again from here on.
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        return code
