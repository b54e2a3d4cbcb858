"""What docker-compose.yml promises, read from the file: no engine needed."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = ("ingest", "decide", "project")


def test_there_is_a_worker_for_each_stage_a_broker_a_view_and_the_topics() -> None:
    assert SERVICES.keys() == {"kafka", "redis", "topics", *WORKERS}
    for stage in WORKERS:
        assert SERVICES[stage]["command"] == ["worker", "--only", stage]


@pytest.mark.parametrize("service", SERVICES)
def test_images_have_a_fixed_tag(service: str) -> None:
    name, _, tag = SERVICES[service]["image"].partition(":")
    assert name
    assert re.search(r"\d", tag), f"{service} has no version in its image's tag"
    assert "latest" not in tag


def test_the_image_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert SERVICES["decide"]["image"] == f"tagger:${{TAGGER_VERSION:-{version}}}"


@pytest.mark.parametrize("service", sorted(SERVICES.keys() - {"topics"}))
def test_what_runs_for_long_has_a_health_check_and_comes_back(service: str) -> None:
    assert SERVICES[service]["healthcheck"]["test"]
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", ["topics", *WORKERS])
def test_variables_are_settings_with_their_defaults(service: str) -> None:
    for variable, text in SERVICES[service]["environment"].items():
        field = Settings.model_fields.get(variable.removeprefix("TAGGER_").lower())
        assert field is not None, f"{variable} is no setting"
        overridable = re.fullmatch(r"\$\{(\w+):-(.*)\}", str(text))
        if overridable:
            assert overridable[1] == variable
            default = Settings(**{variable.removeprefix("TAGGER_").lower(): overridable[2]})  # type: ignore[arg-type]
            assert default == Settings(), f"{variable} has another default than the settings"


def test_workers_are_asked_where_they_listen() -> None:
    for stage in WORKERS:
        port = SERVICES[stage]["environment"]["TAGGER_HEALTH_PORT"]
        assert f"http://127.0.0.1:{port}/health/ready" in SERVICES[stage]["healthcheck"]["test"][-1]
        assert Settings.model_fields["health_host"].default == "127.0.0.1"


def test_what_is_kept_lies_in_named_volumes() -> None:
    mounts = {service: SERVICES[service].get("volumes", []) for service in ("kafka", "redis")}
    assert {mount.partition(":")[0] for folders in mounts.values() for mount in folders} == COMPOSE[
        "volumes"
    ].keys()


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
