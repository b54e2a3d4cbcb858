"""What went wrong with a broker has the exit code of the contract."""

from types import SimpleNamespace

import pytest
from aiokafka.errors import InvalidConfigurationError, InvalidReplicationFactorError, KafkaConnectionError

from streams.cli.exits import CommandError, run
from streams.clients import MissingTopicError, UnreachableError
from streams.lanes.stage import ForeignRecordError
from streams.lanes.unit_of_work import RefusedError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidReplicationFactorError("3 replicas, 1 broker"), 2),
        (InvalidConfigurationError("not a number of type LONG"), 2),
        (RefusedError("it refused with InvalidTransactionTimeout"), 2),
        (ForeignRecordError(SimpleNamespace(topic="j", partition=0, offset=7), ValueError()), 1),
        (MissingTopicError("no such topic"), 2),
        (UnreachableError("no broker"), 3),
        (KafkaConnectionError("gone"), 3),
    ],
)
def test_each_error_ends_with_its_code_and_its_words(error: Exception, code: int) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(CommandError) as raised:
        run(work())
    assert raised.value.exit_code == code
    assert str(error) in raised.value.message
