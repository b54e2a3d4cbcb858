"""A real redis-server for tests, in memory only, at a free port.

with RedisServer() as redis:
    connect_to(redis.url)
    redis.kill(); redis.restart()    # empty again
"""

import shutil
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType

from parts import program

from streams.child import Child, free_port


class RedisServer:
    """One redis-server, running from `__enter__` until `__exit__`.

    Attributes:
        url: where clients connect, the same over restarts.
    """

    def __init__(self) -> None:
        self._program = program("redis-server", "redis-server")
        self._folder = Path(tempfile.mkdtemp(prefix="tagger-redis-"))
        self._port = free_port()
        self._child: Child | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> "RedisServer":
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self, timeout: float = 20.0) -> None:
        """Start it and wait until it answers; raises RuntimeError when it does not."""
        if self._child is not None and self._child.running:
            return
        options = {"port": self._port, "bind": "127.0.0.1", "dir": self._folder, "appendonly": "no", "save": ""}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._child = Child([self._program, *arguments], self._folder / "redis.log")
        deadline = time.monotonic() + timeout
        while not self._answers():
            if not self._child.running or time.monotonic() > deadline:
                raise RuntimeError(f"expected Redis at {self.url} within {timeout} s:\n{self._child.log_tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Shut it down; what it held is gone."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End it with SIGKILL; what it held is gone."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        """Start it again, empty, at the same address."""
        self.stop()
        self.start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
