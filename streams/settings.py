"""Every setting of the pipeline, read once at start.

Order: command-line options, then `TAGGER_*` variables, then the TOML file given by `--config`, then the
defaults below. `docs/settings.md` is generated from this class.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from streams.setting_types import App, Bootstrap, ClockTopics, CurrencyRates, RedisUrl, TopicPrefix, Zone
from tagger.features.summary import MAX_RECENT_DAYS
from tagger.ingest.partition import IngestSettings
from tagger.settings import CoreSettings

# Whoever runs the core without these settings, over a file or in a test, has the same defaults.
_CORE, _INGEST = CoreSettings(), IngestSettings()
# A hundred years: far beyond it lie dates that no calendar has. Timeouts end where brokers refuse them by default.
_MOST_DAYS = 36_500
_MOST_SECONDS = _MOST_DAYS * 86_400


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TAGGER_", extra="forbid", frozen=True)

    bootstrap: Bootstrap = Field("localhost:9092", description="Kafka bootstrap addresses, comma separated.")
    redis_url: RedisUrl = Field("redis://localhost:6379/0", description="Redis that `project` writes to.")
    app: App = Field(
        "tagger", description="Name of the deployment: prefix of consumer groups and transactional ids."
    )
    topic_prefix: TopicPrefix = Field(
        "", description="Put before every topic name, so that deployments can share a broker."
    )
    rules: Path = Field(Path("rules"), description="Folder of the rule packs put in force on a journal not begun.")

    zone: Zone = Field(_CORE.zone, description="Time zone of bank days, months and quarters.")
    clock: Literal["wall", "events"] = Field(
        _INGEST.clock,
        description="What moves time: the time of day (live) or the events' own times (recorded input).",
    )
    clock_topics: ClockTopics = Field(_CORE.clock_topics, description="Topics whose partitions make up the clock.")
    push_recorded: bool = Field(
        _INGEST.push_recorded, description="Let tags of recorded or made-up events say `push: true`."
    )
    tick_seconds: float = Field(2.0, gt=0, le=3600, description="Time between ticks of an input partition.")
    allowed_lateness_days: int = Field(
        _CORE.allowed_lateness_days,
        ge=0,
        le=MAX_RECENT_DAYS - 1,  # a `summary` knows for so long which days it has counted
        description="Bank days an event may lie behind the clock.",
    )
    max_future_seconds: int = Field(
        _INGEST.max_future_ms // 1000,
        ge=0,
        le=_MOST_SECONDS,
        description="How far ahead of now an event may lie; with `clock: events`, the first of a clock source.",
    )
    max_jump_seconds: int = Field(
        _INGEST.max_jump_ms // 1000,
        ge=1,
        le=_MOST_SECONDS,
        description="`clock: events`: how far ahead of its source's time an event may lie.",
    )
    max_skew_seconds: int = Field(
        0,
        ge=0,
        le=_MOST_SECONDS,
        description="An ingest task this far ahead of the slowest pauses; 0 never pauses.",
    )
    dedupe_days: int = Field(
        _CORE.dedupe_days, ge=0, le=_MOST_DAYS, description="How long an event id is remembered since its arrival."
    )
    dedupe_count: int = Field(_CORE.dedupe_count, ge=1, le=4096, description="Event ids remembered a customer.")
    rates: CurrencyRates = Field(
        default_factory=dict, description='CNY for one unit of another currency, e.g. {"USD": "7.1"}.'
    )

    partitions: int = Field(
        12, ge=1, le=100_000, description="Partitions of every topic that `topics create` makes."
    )
    replication: int = Field(1, ge=1, le=32_767, description="Replicas of every topic that `topics create` makes.")
    journal_retention_days: int = Field(3650, ge=1, le=_MOST_DAYS, description="How long the journal is kept.")
    tags_retention_days: int = Field(
        365, ge=1, le=_MOST_DAYS, description="How long tags and dead letters are kept."
    )
    input_retention_days: int = Field(7, ge=1, le=_MOST_DAYS, description="How long input records are kept.")

    batch_records: int = Field(50_000, ge=1, description="Records in one transaction at most.")
    batch_bytes: int = Field(8_000_000, ge=1024, le=1_000_000_000, description="Bytes in one transaction at most.")
    fetch_bytes: int = Field(
        8_000_000, ge=1024, le=1_000_000_000, description="Bytes fetched from a partition at a time."
    )
    gather_ms: int = Field(
        100, ge=0, le=1000, description="How long `ingest` waits for more input before a transaction, at most."
    )
    view_rest_seconds: float = Field(
        2.0, ge=0, le=60, description="How long `project` lets a busy partition rest, at most; 0 never."
    )
    max_record_bytes: int = Field(
        1_000_000,
        ge=1024,
        le=1_000_000_000,
        description="Largest state or tag record; the brokers' limit less its framing.",
    )
    transaction_timeout_ms: int = Field(
        15_000, ge=1000, le=900_000, description="After which the broker aborts a transaction."
    )
    session_timeout_ms: int = Field(
        10_000, ge=1000, le=1_800_000, description="After which the broker gives up a silent worker."
    )
    health_host: str = Field("127.0.0.1", description="Where a worker listens for health checks.")
    health_port: int | None = Field(
        None, ge=1, le=65_535, description="Port of `/health/live` and `/health/ready`; none listens nowhere."
    )
    watchdog_loop_seconds: float = Field(
        60.0, ge=0, description="A worker ends when its event loop hangs this long; 0 never, here and below."
    )
    watchdog_progress_seconds: float = Field(
        300.0, ge=0, description="A worker ends when a partition has lag this long and comes no further."
    )
    watchdog_transaction_seconds: float = Field(
        60.0, ge=0, description="A worker ends when it has a transaction open this long."
    )
    watchdog_stable_seconds: float = Field(
        1200.0, ge=0, description="A worker ends when a transaction holds a partition's stable offset this long."
    )
    watchdog_task_seconds: float = Field(
        120.0,
        ge=0,
        description="A worker ends when it is without a part of its consumer, or its group, this long.",
    )
    watchdog_stop_seconds: float = Field(
        60.0, ge=0, description="A worker that stops and has not ended after this long ends at once."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def core(self) -> CoreSettings:
        """The part of the settings that decisions depend on."""
        return CoreSettings(
            zone=self.zone,
            clock_topics=self.clock_topics,
            allowed_lateness_days=self.allowed_lateness_days,
            dedupe_days=self.dedupe_days,
            dedupe_count=self.dedupe_count,
        )

    def ingest(self) -> IngestSettings:
        """The part of the settings that ingest depends on."""
        return IngestSettings(
            clock=self.clock,
            clock_topics=self.clock_topics,
            max_future_ms=self.max_future_seconds * 1000,
            max_jump_ms=self.max_jump_seconds * 1000,
            push_recorded=self.push_recorded,
            zone=self.zone,
        )

    def topic(self, name: str) -> str:
        """The broker's name of one of the contract's topics."""
        return self.topic_prefix + name


def load_settings(config: Path | None = None, **options: object) -> Settings:
    """Read the settings.

    Args:
        config: a TOML file; its keys are the fields above.
        options: what the command line gave; None values are left out.

    Raises:
        FileNotFoundError: `config` does not exist.
        pydantic.ValidationError: a value is not what its field expects.
    """
    if config is not None and not config.is_file():
        raise FileNotFoundError(f"no settings file at {config}")
    given = {name: value for name, value in options.items() if value is not None}

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    return FromFile(**given) if config is not None else Settings(**given)  # type: ignore[arg-type]


def misspelled(environment: Mapping[str, str]) -> list[str]:
    """`TAGGER_*` variables that name no setting but nearly one, each as a sentence.

    Others are left alone: an orchestrator puts its own there, such as TAGGER_SERVICE_HOST.
    """
    known = {f"TAGGER_{name.upper()}" for name in Settings.model_fields} | {"TAGGER_CONFIG"}
    strange = sorted(
        name for name in environment if name.upper().startswith("TAGGER_") and name.upper() not in known
    )
    near = ((name, get_close_matches(name.upper(), known, n=1, cutoff=0.85)) for name in strange)
    return [f"{name} is no setting and was ignored; did you mean {match[0]}?" for name, match in near if match]
