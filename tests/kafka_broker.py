"""A real Apache Kafka broker for tests, the bench and `make kafka`: one KRaft node from Maven's jars.

    with KafkaBroker() as kafka:
        connect_to(kafka.bootstrap)
        kafka.kill()      # SIGKILL
        kafka.restart()   # same address, same data

Jars are fetched once into the user's cache; data lives in a temporary folder; ports are free ones. Topics are
never created by asking for them. Run as a program, it serves in the foreground until Ctrl-C.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from parts import CACHE, MissingPartError, exclusive, program  # noqa: E402

from streams.child import Child, free_port  # noqa: E402

VERSION = "4.1.2"
POM = ROOT / "tools" / "kafka" / "pom.xml"
CLUSTER_ID = "dGFnZ2VyLXRlc3QtY2x1cw"  # any 16 bytes in base64
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "default.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # a killed broker may register again only when its old session is over (default 9 s)
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
    # an open transaction's timeout is noticed within a second, not ten
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.index.size.max.bytes": "1048576",
}


def install_kafka() -> Path:
    """Folder of the broker's jars, fetched through Maven when they are not in the cache yet (about 110 MB).

    Raises:
        MissingPartError: no Java or Maven here, or Maven could not fetch.
    """
    jars = CACHE / f"kafka-{VERSION}"
    program("java", "default-jre-headless")
    if jars.is_dir():
        return jars
    maven = program("mvn", "maven")
    with exclusive("kafka"):
        if jars.is_dir():
            return jars
        part = Path(tempfile.mkdtemp(prefix="kafka-", dir=CACHE))
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={part}"]
        done = subprocess.run(
            [maven, "-q", "-B", "--strict-checksums", "-f", str(POM), *goal],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            shutil.rmtree(part)
            last = " / ".join((done.stdout + done.stderr).strip().splitlines()[:5])
            raise MissingPartError(f"expected Kafka {VERSION}'s jars from Maven, which failed: {last}")
        part.rename(jars)
    return jars


class KafkaBroker:
    """One Kafka broker, running from `__enter__` or `start` until `__exit__` or `close`.

    Args:
        settings: broker settings over `SETTINGS`.
        heap: the Java heap's size.
        port: of the client listener; a free one when None.

    Attributes:
        bootstrap: where clients connect, the same over restarts.
    """

    def __init__(
        self, settings: Mapping[str, str] | None = None, heap: str = "512m", port: int | None = None
    ) -> None:
        self._jars = install_kafka()
        self._heap = heap
        self._folder = Path(tempfile.mkdtemp(prefix="tagger-kafka-"))
        self._child: Child | None = None
        port = port or free_port()
        controller = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        lines = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str(self._folder / "data"),
            **(settings or {}),
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        self._format()

    def __enter__(self) -> "KafkaBroker":
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

    @property
    def pid(self) -> int | None:
        """Process id of the broker, None while it is down."""
        return self._child.pid if self._child else None

    @property
    def log(self) -> Path:
        return self._folder / "kafka.log"

    def start(self, timeout: float = 60.0) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: it ended, or did not answer within `timeout` seconds.
        """
        if self._child is not None and self._child.running:
            return
        self._child = Child(self._java("kafka.Kafka", str(self._properties)), self.log)
        deadline = time.monotonic() + timeout
        while not _answers(self.bootstrap):
            if not self._child.running or time.monotonic() > deadline:
                state = "was silent" if self._child.running else f"ended with {self._child.returncode}"
                raise RuntimeError(
                    f"expected Kafka at {self.bootstrap} within {timeout:.0f} s, it {state}:\n"
                    + self._child.log_tail()
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """Shut it down in order; its data stays for `restart`."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End it with SIGKILL; its data stays for `restart`."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def restart(self) -> None:
        """Start it again at the same address with the same data, stopping it first when it runs."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP) until `resume`: connections stay open, nothing is answered."""
        if self._child is not None:
            self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def _java(self, *arguments: str) -> list[str]:
        log = {"defaultLogLevel": "warn", "showDateTime": "true", "dateTimeFormat": "HH:mm:ss.SSS"}
        options = [f"-Xmx{self._heap}", *(f"-Dorg.slf4j.simpleLogger.{key}={value}" for key, value in log.items())]
        return [program("java", "default-jre-headless"), *options, "-cp", f"{self._jars}/*", *arguments]

    def _format(self) -> None:
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties)),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"expected Kafka's data folder to be formatted, got: {done.stdout}{done.stderr}")


def _answers(bootstrap: str) -> bool:
    """Whether a broker there knows itself; asked in a thread, as the caller may sit in an event loop."""
    host, port = bootstrap.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False

    async def ask() -> bool:
        client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3000)
        try:
            await client.start()
            return bool((await client.describe_cluster())["brokers"])
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, ask()).result()


def main() -> int:
    """Serve in the foreground; `KAFKA_PORT` sets the port."""
    say = sys.stdout.write
    try:
        broker = KafkaBroker(port=int(os.environ.get("KAFKA_PORT", "0")) or None)
    except MissingPartError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    with broker:
        say(f"Kafka {VERSION} answers at {broker.bootstrap}; press Ctrl-C to end it and drop its data.\n")
        say(f"    export TAGGER_BOOTSTRAP={broker.bootstrap}\n")
        sys.stdout.flush()
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        signal.sigwait(ends)
    return 0


if __name__ == "__main__":
    sys.exit(main())
