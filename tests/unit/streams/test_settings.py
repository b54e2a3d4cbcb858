"""A setting that cannot be meant ends the command at its start with exit code 2, and says what was expected."""

import pytest
from click.testing import CliRunner, Result

from streams.cli.main import main
from streams.settings import Settings, misspelled


def check_rules(**environment: str) -> Result:
    return CliRunner().invoke(main, ["rules", "check", "rules"], env=environment)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("TAGGER_ZONE", "Mars/Base", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_ZONE", "Asia", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_ZONE", "", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_ZONE", "../etc/localtime", "a time zone, such as Asia/Shanghai"),
        ("TAGGER_BOOTSTRAP", "", "expected host:port"),
        ("TAGGER_BOOTSTRAP", "localhost:port", "expected host:port"),
        ("TAGGER_BOOTSTRAP", "a:1,,b:2", "expected host:port"),
        ("TAGGER_TOPIC_PREFIX", "two words", "expected at most 200 letters"),
        ("TAGGER_CLOCK_TOPICS", '["bank.transaction"]', "expected some of bank.transactions, bank.app-events"),
        ("TAGGER_CLOCK_TOPICS", "[]", "expected some of bank.transactions"),
        ("TAGGER_CLOCK_TOPICS", "bank.transactions", "expected JSON"),
        ("TAGGER_RATES", '{"USD": "-7.1"}', "rate of USD: expected a number > 0"),
        ("TAGGER_RATES", '{"dollar": "7.1"}', "TAGGER_RATES"),
        ("TAGGER_REDIS_URL", "localhost:6379", "expected a URL that begins with one of redis://"),
        ("TAGGER_REDIS_URL", "redis://localhost:port", "expected redis://[user:password@]host"),
        ("TAGGER_REDIS_URL", "redis://localhost:99999", "expected redis://[user:password@]host"),
        ("TAGGER_REDIS_URL", "redis://[::1", "expected redis://[user:password@]host"),
        ("TAGGER_REDIS_URL", "redis://localhost/one", "/number of the database"),
        ("TAGGER_REDIS_URL", "redis://localhost/0?bd=3", "with options that Redis has"),
        ("TAGGER_REDIS_URL", "redis://localhost/0?socket_timeout=long", "with options that Redis has"),
        ("TAGGER_BOOTSTRAP", "localhost:99999", "expected a port from 1 to 65535 in localhost:99999"),
        ("TAGGER_APP", "", "expected 1 to 100 letters"),
        ("TAGGER_APP", "two words", "expected 1 to 100 letters"),
        ("TAGGER_TICK_SECONDS", "inf", "less than or equal to 3600"),
        ("TAGGER_ALLOWED_LATENESS_DAYS", "99999999999999", "less than or equal to 31"),
        ("TAGGER_PARTITIONS", "99999999999", "less than or equal to 100000"),
        ("TAGGER_REPLICATION", "40000", "less than or equal to 32767"),
        ("TAGGER_JOURNAL_RETENTION_DAYS", "99999999999999999", "less than or equal to 36500"),
        ("TAGGER_TRANSACTION_TIMEOUT_MS", "10000000", "less than or equal to 900000"),
        ("TAGGER_SESSION_TIMEOUT_MS", "10000000", "less than or equal to 1800000"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(variable: str, value: str, expected: str) -> None:
    result = check_rules(**{variable: value})
    assert result.exit_code == 2, result.output
    assert variable in result.output
    assert expected in result.output


@pytest.mark.parametrize(
    "url", ["redsi://:secret@cache:6379", "redis://:secret@cache:port", "redis://u:sec/ret@c"]
)
def test_what_a_redis_url_holds_is_not_shown(url: str) -> None:
    result = check_rules(TAGGER_REDIS_URL=url)
    assert result.exit_code == 2
    assert "sec" not in result.output


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://cache",
        "rediss://u:p%40ss@cache:6380/11",
        "redis://[::1]:6379/0?socket_timeout=1.5&protocol=3",
        "unix:///run/redis.sock?db=2",
    ],
)
def test_redis_urls_of_every_shape_are_taken(url: str) -> None:
    assert Settings(redis_url=url).redis_url == url


@pytest.mark.parametrize("value", ["broker", "broker:9092", "10.0.0.1:1, kafka_2.bank:65535", "[::1]:9092"])
def test_addresses_of_every_shape_are_taken(value: str) -> None:
    assert Settings(bootstrap=value).bootstrap == value


def test_a_variable_that_is_nearly_a_setting_is_told() -> None:
    result = check_rules(TAGGER_CLOK="events", TAGGER_SERVICE_HOST="10.0.0.1")
    assert result.exit_code == 0
    assert "TAGGER_CLOK is no setting and was ignored; did you mean TAGGER_CLOCK?" in result.stderr
    assert "SERVICE_HOST" not in result.output


def test_settings_and_other_peoples_variables_are_not_misspelled() -> None:
    known = {f"TAGGER_{name.upper()}": "" for name in Settings.model_fields}
    others = {"TAGGER_CONFIG": "", "TAGGER_FAILPOINTS": "", "TAGGER_PORT": "", "PATH": ""}
    assert misspelled(known | others) == []
