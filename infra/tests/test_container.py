"""The application: how it runs, what it is told, and how it is reached."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import pytest

from stackproof_infra.components.container import ContainerArgs, Schedule
from stackproof_infra.environment import NAMES
from stackproof_infra.place import Place
from tests.cloud import CERTIFICATE, IMAGE, PASSWORD, SECRET_KEY, TOKEN, Graph, Made, deploy

SCHEDULE = Schedule(cron="0 3 * * *", path="/", description="d")
ARGS = ContainerArgs(
    place=Place(prefix="acme-shop", stack="test", project_id="p", region="fr-par"),
    private_network_id="n",
    image=IMAGE,
    port=8080,
    min_scale=0,
    max_scale=1,
    memory_mb=512,
    cpu_millis=250,
    concurrency=50,
    timeout_seconds=300,
    health_path="/health",
    description="d",
    namespace_description="d",
    private=False,
    environment={},
    secret_environment={},
)


def container(graph: Graph) -> Made:
    return graph.the("containers/container:Container")


def variables(graph: Graph, key: str = "environmentVariables") -> dict[str, str]:
    return cast("dict[str, str]", container(graph)[key])


def test_it_runs_the_configured_image_by_its_digest(graph: Graph) -> None:
    assert container(graph)["image"] == IMAGE
    assert container(graph)["namespaceId"] == graph.the("containers/namespace:Namespace").id
    assert container(graph)["description"] == "The application."


def test_it_is_in_the_stacks_private_network(graph: Graph) -> None:
    assert container(graph)["privateNetworkId"] == graph.the("network/privateNetwork:PrivateNetwork").id


def test_it_answers_https_only(graph: Graph) -> None:
    assert container(graph)["httpsConnectionsOnly"] is True
    assert container(graph)["protocol"] == "http1"


def test_its_size_is_as_configured() -> None:
    size = {"minScale": 1, "maxScale": 3, "memoryMb": 2000, "cpuMillis": 1000, "concurrency": 80}
    changed = container(deploy({"container": {**size, "port": 3000, "timeoutSeconds": 60}}))
    assert (changed["minScale"], changed["maxScale"]) == (1, 3)
    assert (changed["memoryLimitBytes"], changed["cpuLimit"]) == (2_000_000_000, 1000)
    assert changed["scalingOptions"] == [{"concurrentRequestsThreshold": 80}]
    assert (changed["port"], changed["timeout"]) == (3000, 60)


def test_it_costs_nothing_while_nobody_asks_unless_configured(graph: Graph) -> None:
    assert (container(graph)["minScale"], container(graph)["maxScale"]) == (0, 5)


def test_it_is_restarted_when_it_has_not_answered_for_a_minute() -> None:
    assert container(deploy({"container": {"healthPath": "/alive"}}))["livenessProbe"] == {
        "http": {"path": "/alive"},
        "interval": "10s",
        "timeout": "5s",
        "failureThreshold": 6,
    }


def test_it_finds_everything_it_needs_in_its_environment(graph: Graph) -> None:
    assert container(graph)["environmentVariables"] == {
        "DATABASE_HOST": "10.0.0.2",
        "DATABASE_PORT": "5432",
        "DATABASE_NAME": "app",
        "DATABASE_USER": "app",
        "SERVERLESS_DATABASE_ENDPOINT": "postgres://sql.nl-ams.scw.cloud:5432/acme?sslmode=require",
        "SERVERLESS_DATABASE_USER": graph.the("iam/application:Application").id,
        "ASSETS_BUCKET": "acme-shop-test-assets",
        "ASSETS_ENDPOINT": "https://s3.nl-ams.scw.cloud",
        "ASSETS_REGION": "nl-ams",
        "ACCESS_KEY": "SCWAAAAAAAAAAAAAAAAA",
        "ENCRYPTION_KEY_ID": graph.the("keymanager/key:Key").id,
        "METRICS_PUSH_URL": "https://metrics.cockpit.nl-ams.scw.cloud/push",
        "LOGS_PUSH_URL": "https://logs.cockpit.nl-ams.scw.cloud/push",
        "TRACES_PUSH_URL": "https://traces.cockpit.nl-ams.scw.cloud/push",
    }


def test_its_secrets_are_secret_variables(graph: Graph) -> None:
    assert container(graph)["secretEnvironmentVariables"] == {
        "DATABASE_PASSWORD": PASSWORD,
        "DATABASE_CA_CERTIFICATE": CERTIFICATE,
        "SERVERLESS_DATABASE_PASSWORD": SECRET_KEY,
        "SECRET_KEY": SECRET_KEY,
        "TELEMETRY_TOKEN": TOKEN,
    }


def test_names_that_a_team_cannot_take_are_those_the_stack_sets(graph: Graph) -> None:
    assert {*variables(graph), *variables(graph, "secretEnvironmentVariables")} == NAMES


def test_a_teams_own_variables_stand_beside_the_stacks(graph: Graph, whole: Graph) -> None:
    assert variables(whole) == {**variables(graph), "LOG_LEVEL": "info"}


def test_it_is_public_unless_configured(graph: Graph, whole: Graph) -> None:
    assert (container(graph)["privacy"], container(whole)["privacy"]) == ("public", "private")


def test_its_address_is_scaleways_unless_it_has_a_domain(graph: Graph, whole: Graph) -> None:
    assert graph.exports["url"] == "https://acme-web.functions.fnc.nl-ams.scw.cloud"
    assert graph.all("containers/domain:Domain") == []
    domain = whole.the("containers/domain:Domain")
    assert (domain["hostname"], domain["containerId"]) == ("shop.example.com", container(whole).id)
    assert whole.exports["url"] == "https://shop.example.com"


@pytest.mark.parametrize(
    ("cron", "path", "description"),
    [
        ({}, "/", "Calls the application at set times."),
        ({"path": "/tidy", "description": "Tidies up."}, "/tidy", "Tidies up."),
    ],
)
def test_it_is_called_at_the_configured_times(cron: Mapping[str, str], path: str, description: str) -> None:
    changed = deploy({"container": {"cron": {"schedule": "*/5 * * * *", **cron}}})
    trigger = changed.the("containers/trigger:Trigger")
    assert trigger["containerId"] == container(changed).id
    assert trigger["cron"] == {"schedule": "*/5 * * * *", "timezone": "Etc/UTC"}
    assert trigger["destinationConfig"] == {"httpPath": path, "httpMethod": "post"}
    assert trigger["description"] == description


def test_nothing_calls_it_unless_configured(graph: Graph) -> None:
    assert graph.all("containers/trigger:Trigger") == []


def test_a_component_refuses_an_image_that_could_change() -> None:
    with pytest.raises(ValueError, match=r"image must be named by its digest, not rg\.fr-par\.scw\.cloud/a/b:latest"):
        replace(ARGS, image="rg.fr-par.scw.cloud/a/b:latest")


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (2, 1)])
def test_a_component_refuses_a_scale_without_room(low: int, high: int) -> None:
    with pytest.raises(ValueError, match=f"min_scale must be 0 to max_scale, {high}, not {low}"):
        replace(ARGS, min_scale=low, max_scale=high)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 1), (1, 1)])
def test_a_component_takes_any_scale_with_room(low: int, high: int) -> None:
    assert replace(ARGS, min_scale=low, max_scale=high).max_scale == high
