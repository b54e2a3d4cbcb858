"""A worker that has not begun yet: told to stop while it waits for its broker, or given topics that do not fit."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from streams import worker
from streams.settings import Settings
from streams.topics import CO_PARTITIONED, Difference


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_still_waits_for_its_broker_stops_with_0(number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        bootstrap = f"127.0.0.1:{silent.getsockname()[1]}"
        worker = subprocess.Popen(
            [sys.executable, "-m", "streams.cli.main", "worker"],
            env={**os.environ, "TAGGER_BOOTSTRAP": bootstrap},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection, _ = silent.accept()
            with connection:  # or it is closed at once, and the worker may hear of that before the signal
                worker.send_signal(number)
                _, told = worker.communicate(timeout=8)  # before the broker is given up
        finally:
            worker.kill()
            worker.wait()
    assert worker.returncode == 0, told
    assert '"event": "stopped"' in told.splitlines()[-1]
    assert "Traceback" not in told


async def test_partitions_that_do_not_fit_together_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(settings: Settings) -> list[Difference]:
        counts = {topic: str(3 + number) for number, topic in enumerate(sorted(CO_PARTITIONED))}
        return [Difference(topic, "partitions", "12", count) for topic, count in counts.items()]

    monkeypatch.setattr(worker, "check", check)
    with pytest.raises(
        worker.TopicsError, match=r"customers: 3, .*journal: 4, .*tags: 5\. .*`tagger topics create`"
    ):
        await worker.check_topics(Settings())
