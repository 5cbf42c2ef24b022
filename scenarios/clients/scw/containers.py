"""What scw is asked for Serverless Containers."""

from __future__ import annotations

import secrets
from operator import itemgetter
from typing import TYPE_CHECKING

from kind import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from command import Seen


def of_namespace(namespace: Seen) -> Sequence[Kind]:
    """Returns what a namespace of containers has in it; scw deploys the container that it has created."""
    return [
        Kind(
            "container container",
            create=[
                "name=NAME",
                f"namespace-id={namespace['id']}",
                "registry-image=nginx:1.29",
                "port=80",
                "memory-limit=256",
                "secret-environment-variables.0.key=KEY",
                "secret-environment-variables.0.value=secret",
            ],
            update=["memory-limit=512", "http-option=redirected"],
            listed=[f"namespace-id={namespace['id']}"],
            shows=lambda it: (it["registry_image"], it["memory_limit"], it["http_option"], it["status"]),
            given=("nginx:1.29", 256, "enabled", "ready"),
            changed=("nginx:1.29", 512, "redirected", "ready"),
            within=lambda it: _of_container(it["id"], namespace["project_id"]),
        )
    ]


def _of_container(container: str, project: str) -> Sequence[Kind]:
    whose = f"container-id={container}"
    host = f"{secrets.token_hex(4)}.clients.example.com"
    return [
        Kind(
            "container cron",
            create=[whose, "name=NAME", "schedule=5 4 * * *", 'args={"when": "created"}'],
            update=["schedule=0 1 * * *"],
            listed=[whose],
            shows=lambda it: (it["container_id"], it["schedule"], it["args"]),
            given=(container, "5 4 * * *", {"when": "created"}),
            changed=(container, "0 1 * * *", {"when": "created"}),
        ),
        Kind(
            "container domain",
            create=[whose, f"hostname={host}"],
            update=[],
            listed=[whose],
            shows=lambda it: (it["container_id"], it["hostname"]),
            given=(container, host),
        ),
        Kind(
            "container trigger",
            create=[
                whose,
                "name=NAME",
                "description=created",
                "scw-sqs-config.queue=orders",
                f"scw-sqs-config.mnq-project-id={project}",
                "scw-sqs-config.mnq-region=fr-par",
            ],
            update=["description=changed"],
            listed=[whose],
            shows=lambda it: (it["description"], it["input_type"], it["scw_sqs_config"]["queue"]),
            given=("created", "scw_sqs", "orders"),
            changed=("changed", "scw_sqs", "orders"),
        ),
        Kind(
            "container token",
            create=[whose, "description=created"],
            update=[],
            listed=[whose],
            shows=itemgetter("container_id"),
            given=container,
        ),
    ]
