"""RDB and Serverless SQL: instances, with what is in them, and databases without instances."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from scaleway.rdb.v1 import RdbV1API
from scaleway.rdb.v1.types import ACLRuleRequest, Permission, VolumeType
from scaleway.serverless_sqldb.v1alpha1 import ServerlessSqldbV1Alpha1API

from life import Life, demand, only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaleway.rdb.v1.types import ACLRule, Database, Instance, User

    from place import Place


def rdb(place: Place) -> Sequence[Life[Any]]:
    """Returns the lives of RDB's resources."""
    api = RdbV1API(place.client)
    engines = {version.name for engine in api.list_database_engines_all() for version in engine.versions}
    demand("PostgreSQL-16 among the engines", "PostgreSQL-16" in engines, expected=True)
    return [
        Life(
            "rdb.instance",
            create=lambda name: api.create_instance(
                name=name,
                engine="PostgreSQL-16",
                node_type="DB-DEV-S",
                user_name="owner",
                password=_password(),
                is_ha_cluster=False,
                disable_backup=True,
                backup_same_region=False,
                volume_type=VolumeType.SBS_5K,
                volume_size=10_000_000_000,
                tags=["created"],
            ),
            read=lambda it: api.get_instance(instance_id=it.id),
            listed=lambda: api.list_instances_all(project_id=place.project_id),
            change=lambda it: api.update_instance(instance_id=it.id, tags=["changed"]),
            delete=lambda it: api.delete_instance(instance_id=it.id),
            shows=lambda it: (it.tags, it.engine, it.node_type.lower(), it.project_id),
            given=(["created"], "PostgreSQL-16", "db-dev-s", place.project_id),
            changed=(["changed"], "PostgreSQL-16", "db-dev-s", place.project_id),
            within=lambda it: [_database(api, it), _user(api, it), _rule(api, it)],
        )
    ]


def _database(api: RdbV1API, inside: Instance) -> Life[Database]:
    def databases() -> list[Database]:
        return api.list_databases_all(instance_id=inside.id)

    return Life(
        "rdb.database",
        create=lambda name: api.create_database(instance_id=inside.id, name=name),
        read=lambda it: only(databases(), lambda one: one.name == it.name),
        listed=databases,
        delete=lambda it: api.delete_database(instance_id=inside.id, name=it.name),
        key=lambda it: it.name,
        shows=lambda it: it.managed,
        given=True,
        also=lambda it: demand("the owner's permission", _granted(api, inside, it), Permission.READONLY),
    )


def _granted(api: RdbV1API, inside: Instance, database: Database) -> object:
    """Lets the owner of the instance only read this database, and returns what is said of it afterwards."""
    api.set_privilege(
        instance_id=inside.id, database_name=database.name, user_name="owner", permission=Permission.READONLY
    )
    told = api.list_privileges_all(instance_id=inside.id, database_name=database.name, user_name="owner")
    return only(told, lambda one: one.user_name == "owner").permission


def _user(api: RdbV1API, inside: Instance) -> Life[User]:
    def users() -> list[User]:
        return api.list_users_all(instance_id=inside.id)

    return Life(
        "rdb.user",
        create=lambda name: api.create_user(instance_id=inside.id, name=name, password=_password(), is_admin=False),
        read=lambda it: only(users(), lambda one: one.name == it.name),
        listed=users,
        change=lambda it: api.update_user(instance_id=inside.id, name=it.name, is_admin=True),
        delete=lambda it: api.delete_user(instance_id=inside.id, name=it.name),
        key=lambda it: it.name,
        shows=lambda it: it.is_admin,
        given=False,
        changed=True,
    )


def _rule(api: RdbV1API, inside: Instance) -> Life[ACLRule]:
    def rules() -> list[ACLRule]:
        return api.list_instance_acl_rules_all(instance_id=inside.id)

    def add(description: str) -> ACLRule:
        rule = ACLRuleRequest(ip="192.0.2.0/24", description=description)
        return only(api.set_instance_acl_rules(instance_id=inside.id, rules=[rule]).rules, lambda _: True)

    return Life(
        "rdb.acl",
        create=lambda _: add("created"),
        read=lambda it: only(rules(), lambda one: one.ip == it.ip),
        listed=rules,
        change=lambda _: add("changed"),
        delete=lambda it: api.delete_instance_acl_rules(instance_id=inside.id, acl_rule_ips=[it.ip]),
        key=lambda it: it.ip,
        shows=lambda it: (it.ip, it.description),
        given=("192.0.2.0/24", "created"),
        changed=("192.0.2.0/24", "changed"),
    )


def serverless_sql(place: Place) -> Sequence[Life[Any]]:
    """Returns the life of a serverless database."""
    api = ServerlessSqldbV1Alpha1API(place.client)
    return [
        Life(
            "sdb.database",
            create=lambda name: api.create_database(name=name, cpu_min=0, cpu_max=4),
            read=lambda it: api.get_database(database_id=it.id),
            listed=lambda: api.list_databases_all(project_id=place.project_id),
            change=lambda it: api.update_database(database_id=it.id, cpu_max=8),
            delete=lambda it: api.delete_database(database_id=it.id),
            shows=lambda it: (it.cpu_min, it.cpu_max, it.project_id),
            given=(0, 4, place.project_id),
            changed=(0, 8, place.project_id),
            # Scaleway says nothing of a database that is not there, not even that it is not.
            refusal=(403, "permissions_denied"),
        )
    ]


def _password() -> str:
    """Returns a password with every sort of character that Scaleway asks for."""
    return f"aA1!{secrets.token_urlsafe(24)}"
