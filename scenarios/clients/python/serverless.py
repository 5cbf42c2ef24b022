"""Container Registry and Serverless Containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaleway.container.v1 import ContainerV1API
from scaleway.container.v1.types import (
    CreateTriggerRequestCronConfig,
    CreateTriggerRequestDestinationConfig,
    CreateTriggerRequestDestinationConfigHttpMethod,
)
from scaleway.registry.v1 import RegistryV1API

from life import Life

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaleway.container.v1.types import Container, Namespace, Trigger

    from place import Place

IMAGE = "nginx:1.29"
"""A public image that answers on port 80, so that the container can also start where images are run."""


def registry(place: Place) -> Sequence[Life[Any]]:
    """Returns the life of a registry's namespace."""
    api = RegistryV1API(place.client)
    return [
        Life(
            "registry.namespace",
            create=lambda name: api.create_namespace(name=name, description="created", is_public=False),
            read=lambda it: api.get_namespace(namespace_id=it.id),
            listed=lambda: api.list_namespaces_all(project_id=place.project_id),
            change=lambda it: api.update_namespace(namespace_id=it.id, description="changed", is_public=True),
            delete=lambda it: api.delete_namespace(namespace_id=it.id),
            shows=lambda it: (it.description, it.is_public, it.endpoint == f"rg.{place.region}.scw.cloud/{it.name}"),
            given=("created", False, True),
            changed=("changed", True, True),
        )
    ]


def containers(place: Place) -> Sequence[Life[Any]]:
    """Returns the lives of Serverless Containers' resources, each within the one that holds it."""
    api = ContainerV1API(place.client)
    return [
        Life(
            "containers.namespace",
            create=lambda name: api.create_namespace(
                name=name, description="created", environment_variables={"WHEN": "created"}, tags=["one"]
            ),
            read=lambda it: api.get_namespace(namespace_id=it.id),
            listed=lambda: api.list_namespaces_all(project_id=place.project_id),
            change=lambda it: api.update_namespace(namespace_id=it.id, environment_variables={"WHEN": "changed"}),
            delete=lambda it: api.delete_namespace(namespace_id=it.id),
            shows=lambda it: (it.description, it.environment_variables, it.tags),
            given=("created", {"WHEN": "created"}, ["one"]),
            changed=("created", {"WHEN": "changed"}, ["one"]),
            within=lambda it: [_container(api, it)],
        )
    ]


def _container(api: ContainerV1API, inside: Namespace) -> Life[Container]:
    return Life(
        "containers.container",
        create=lambda name: api.create_container(
            namespace_id=inside.id, name=name, image=IMAGE, port=80, min_scale=0, max_scale=2, timeout="60s"
        ),
        read=lambda it: api.get_container(container_id=it.id),
        listed=lambda: api.list_containers_all(namespace_id=inside.id),
        change=lambda it: api.update_container(container_id=it.id, max_scale=3, timeout="90s"),
        delete=lambda it: api.delete_container(container_id=it.id),
        shows=lambda it: (it.namespace_id, it.port, it.min_scale, it.max_scale, it.timeout),
        given=(inside.id, 80, 0, 2, "60s"),
        changed=(inside.id, 80, 0, 3, "90s"),
        within=lambda it: [_trigger(api, it)],
    )


def _trigger(api: ContainerV1API, inside: Container) -> Life[Trigger]:
    every_night = CreateTriggerRequestCronConfig(schedule="0 3 * * *", timezone="Europe/Paris", body="{}", headers={})
    target = CreateTriggerRequestDestinationConfig(
        http_path="/nightly", http_method=CreateTriggerRequestDestinationConfigHttpMethod.POST
    )
    return Life(
        "containers.trigger",
        create=lambda name: api.create_trigger(
            container_id=inside.id,
            name=name,
            description="created",
            destination_config=target,
            cron_config=every_night,
        ),
        read=lambda it: api.get_trigger(trigger_id=it.id),
        listed=lambda: api.list_triggers_all(container_id=inside.id),
        change=lambda it: api.update_trigger(trigger_id=it.id, description="changed"),
        delete=lambda it: api.delete_trigger(trigger_id=it.id),
        shows=lambda it: (it.description, it.container_id, it.cron_config and it.cron_config.schedule),
        given=("created", inside.id, "0 3 * * *"),
        changed=("changed", inside.id, "0 3 * * *"),
    )
