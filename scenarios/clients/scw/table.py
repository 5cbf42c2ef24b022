"""What scw is asked for each kind of resource."""

from __future__ import annotations

import base64
import secrets
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from containers import of_namespace
from kind import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from command import Scw, Seen


def products(organization: Scw, project_id: str) -> dict[str, Sequence[Kind]]:
    """Returns the kinds of every product, for this project."""
    inside = [f"project-id={project_id}"]
    return {
        "account": [
            Kind(
                "account project",
                create=["name=NAME", "description=created"],
                update=["description=changed"],
                shows=itemgetter("description"),
                given="created",
                changed="changed",
                named="project-id",
            )
        ],
        "iam": [
            Kind(
                "iam application",
                create=["name=NAME", "description=created"],
                update=["description=changed"],
                shows=itemgetter("description"),
                given="created",
                changed="changed",
                within=_of_application,
            ),
        ],
        "vpc": [
            Kind(
                "vpc vpc",
                create=["name=NAME", "tags.0=created"],
                update=["tags.0=changed"],
                listed=inside,
                shows=itemgetter("tags"),
                given=["created"],
                changed=["changed"],
                within=_of_vpc,
            )
        ],
        "rdb": [
            Kind(
                "rdb instance",
                create=[
                    "name=NAME",
                    "engine=PostgreSQL-16",
                    "node-type=DB-DEV-S",
                    "user-name=owner",
                    f"password={_password()}",
                    "generate-password=false",
                    "disable-backup=true",
                    "tags.0=created",
                ],
                update=["tags.0=changed"],
                listed=inside,
                shows=lambda it: (it["tags"], it["engine"]),
                given=(["created"], "PostgreSQL-16"),
                changed=(["changed"], "PostgreSQL-16"),
                within=_of_instance,
            )
        ],
        "serverless-sql": [
            Kind(
                "sdb-sql database",
                create=["name=NAME", "cpu-min=0", "cpu-max=4"],
                update=["cpu-max=8"],
                listed=inside,
                shows=lambda it: (it["cpu_min"], it["cpu_max"]),
                given=(0, 4),
                changed=(0, 8),
                # Scaleway says nothing of a database that is not there, not even that it is not.
                ends="insufficient permissions",
            )
        ],
        "registry": [
            Kind(
                "registry namespace",
                create=["name=NAME", "description=created", "is-public=false"],
                update=["description=changed"],
                listed=inside,
                shows=itemgetter("description"),
                given="created",
                changed="changed",
            )
        ],
        "containers": [
            Kind(
                "container namespace",
                create=["name=NAME", "description=created", "environment-variables.WHEN=created"],
                update=["description=changed"],
                listed=inside,
                shows=lambda it: (it["description"], it["environment_variables"]),
                given=("created", {"WHEN": "created"}),
                changed=("changed", {"WHEN": "created"}),
                within=of_namespace,
            )
        ],
        "secret-manager": [
            Kind(
                "secret secret",
                create=["name=NAME", "description=created"],
                update=["description=changed"],
                listed=inside,
                shows=itemgetter("description"),
                given="created",
                changed="changed",
                kept=True,
                within=lambda it: [_version(it["id"])],
            )
        ],
        "key-manager": [
            Kind(
                "keymanager key",
                create=[
                    "name=NAME",
                    "description=created",
                    "unprotected=true",
                    "usage.symmetric-encryption=aes_256_gcm",
                ],
                update=["description=changed"],
                listed=inside,
                shows=lambda it: (it["description"], it["usage"]["symmetric_encryption"]),
                given=("created", "aes_256_gcm"),
                changed=("changed", "aes_256_gcm"),
                kept=True,
            )
        ],
        "cockpit": [
            Kind(
                "cockpit data-source",
                create=["name=NAME", "type=metrics", "retention-days=31"],
                update=["retention-days=60"],
                listed=inside,
                shows=lambda it: (it["type"], it["retention_days"]),
                given=("metrics", 31),
                changed=("metrics", 60),
            ),
            Kind(
                "cockpit token",
                create=["name=NAME", "token-scopes.0=write_only_metrics"],
                update=[],
                listed=inside,
                shows=itemgetter("scopes"),
                given=["write_only_metrics"],
            ),
        ],
    }


def _of_application(application: Seen) -> Sequence[Kind]:
    whose = f"application-id={application['id']}"
    return [
        Kind(
            "iam api-key",
            create=[whose, "description=created"],
            update=["description=changed"],
            listed=[f"bearer-id={application['id']}"],
            shows=lambda it: (it["description"], it["application_id"]),
            given=("created", application["id"]),
            changed=("changed", application["id"]),
            key="access_key",
            part="APIKey",
        ),
        Kind(
            "iam policy",
            create=[
                "name=NAME",
                whose,
                "description=created",
                "rules.0.permission-set-names.0=VPCReadOnly",
                f"rules.0.organization-id={application['organization_id']}",
            ],
            update=["description=changed"],
            shows=lambda it: (it["description"], it["application_id"], it["nb_rules"]),
            given=("created", application["id"], 1),
            changed=("changed", application["id"], 1),
        ),
    ]


def _of_vpc(vpc: Seen) -> Sequence[Kind]:
    return [
        Kind(
            "vpc private-network",
            create=["name=NAME", "tags.0=created", f"vpc-id={vpc['id']}", "subnets.0=172.16.100.0/22"],
            update=["tags.0=changed"],
            listed=[f"vpc-id={vpc['id']}"],
            shows=lambda it: (it["tags"], it["subnets"][0]["subnet"]),
            given=(["created"], "172.16.100.0/22"),
            changed=(["changed"], "172.16.100.0/22"),
            within=lambda it: [
                Kind(
                    "ipam ip",
                    create=[f"source.private-network-id={it['id']}", "address=172.16.100.77", "tags.0=created"],
                    update=["tags.0=changed"],
                    listed=[f"private-network-id={it['id']}"],
                    shows=lambda it: (it["tags"], it["address"]),
                    given=(["created"], "172.16.100.77/22"),
                    changed=(["changed"], "172.16.100.77/22"),
                )
            ],
        )
    ]


def _of_instance(instance: Seen) -> Sequence[Kind]:
    parent = f"instance-id={instance['id']}"
    return [
        Kind(
            "rdb database",
            create=["name=ledger"],
            update=[],
            shows=lambda it: (it["name"], it["managed"]),
            given=("ledger", True),
            key="name",
            named="name",
            parent=parent,
            readable=False,
        ),
        Kind(
            "rdb user",
            create=["name=reader", f"password={_password()}", "generate-password=false", "is-admin=false"],
            update=["is-admin=true"],
            shows=itemgetter("is_admin"),
            given=False,
            changed=True,
            key="name",
            named="name",
            parent=parent,
            readable=False,
        ),
    ]


def _version(secret_id: Any) -> Kind:  # noqa: ANN401 (text, out of JSON)
    return Kind(
        "secret version",
        create=[f"data={base64.b64encode(b'what nobody else may know').decode()}", "description=created"],
        update=["description=changed"],
        shows=lambda it: (it["description"], it["latest"]),
        given=("created", True),
        changed=("changed", True),
        key="revision",
        named="revision",
        parent=f"secret-id={secret_id}",
        kept=True,
    )


def _password() -> str:
    """Returns a password with every sort of character that Scaleway asks for."""
    return f"aA1!{secrets.token_urlsafe(24)}"
