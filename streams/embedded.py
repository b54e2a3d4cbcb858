"""The embedded broker of `tagger demo`: Kafka and Redis from one binary in a wheel, for a run with pip alone.

What holds on it, tried with aiokafka 0.14 and noida-db 0.2.3: topics with settings, transactions with batches,
offsets and their metadata in the same transaction, fencing by transactional id, read committed, compaction's
topics, Redis scripts and pipelines. What does not: its group coordinator does not recover when a member dies
or joins. So: one member a group, a fresh folder each time, nothing worth keeping, and no fault tests.
"""

import os
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import TracebackType

from streams.child import Child, free_port


class EmbeddedBrokerError(Exception):
    """The embedded broker is not installed, does not run on this system, or did not start."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the embedded broker listens; on this machine only.

    Attributes:
        bootstrap: for Kafka clients, as `Settings.bootstrap`.
        redis_url: for Redis clients, as `Settings.redis_url`.
    """

    bootstrap: str
    redis_url: str


class EmbeddedBroker:
    """Kafka and Redis until the `with` block ends, at free ports, in a temporary folder.

        with EmbeddedBroker() as address:
            settings = Settings(bootstrap=address.bootstrap, redis_url=address.redis_url)

    Raises:
        EmbeddedBrokerError: from `__enter__`, when it cannot be had.
    """

    def __init__(self, timeout: float = 20.0) -> None:
        self._timeout = timeout
        self._child: Child | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Address:
        program = _program()
        self._folder = Path(tempfile.mkdtemp(prefix="tagger-demo-"))
        kafka, redis = free_port(), free_port()
        options = ["--data-dir", str(self._folder / "data"), "--only", "kafka,redis"]
        ports = ["--kafka-port", str(kafka), "--redis-port", str(redis)]
        try:
            self._child = Child([str(program), "start", *options, *ports], self._folder / "broker.log")
            self._await_answers(kafka, redis)
        except OSError as error:
            self.close()
            raise EmbeddedBrokerError(f"expected {program} to run on this system: {error}") from error
        except BaseException:
            self.close()
            raise
        return Address(f"127.0.0.1:{kafka}", f"redis://127.0.0.1:{redis}/0")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the broker, None while it is down."""
        return self._child.pid if self._child else None

    def close(self) -> None:
        """End the broker and remove its data. Safe to call twice."""
        if self._child is not None:
            self._child.stop(timeout=5)
            self._child = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _await_answers(self, *ports: int) -> None:
        assert self._child is not None
        deadline = time.monotonic() + self._timeout
        while not all(_listens(port) for port in ports):
            if not self._child.running or time.monotonic() > deadline:
                raise EmbeddedBrokerError(
                    f"expected the embedded broker to listen within {self._timeout:.0f} s; it said:\n"
                    + self._child.log_tail()
                )
            time.sleep(0.02)


def _program() -> Path:
    """The wheel's binary itself: its Python wrapper would stand between us and the process to end."""
    try:
        folder = resources.files("noida_db")
    except ModuleNotFoundError as error:
        raise EmbeddedBrokerError(
            "expected the package noida-db, which brings the embedded broker; install it with `make install`, "
            "or give a running Kafka and Redis to `tagger worker`"
        ) from error
    program = Path(str(folder)) / "noida-db"
    if not program.is_file():
        raise EmbeddedBrokerError(f"expected the embedded broker at {program}, found none")
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
