"""Account and IAM: projects, applications, groups, policies, API keys, SSH keys."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

from scaleway.account.v3 import AccountV3ProjectAPI
from scaleway.iam.v1alpha1 import IamV1Alpha1API
from scaleway.iam.v1alpha1.types import RuleSpecs

from life import Life, demand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaleway.iam.v1alpha1.types import APIKey, Application, Group

    from place import Place


def account(place: Place) -> Sequence[Life[Any]]:
    """Returns the lives of account's resources."""
    api = AccountV3ProjectAPI(place.client)
    return [
        Life(
            "account.project",
            create=lambda name: api.create_project(name=name, description="created"),
            read=lambda it: api.get_project(project_id=it.id),
            listed=api.list_projects_all,
            change=lambda it: api.update_project(project_id=it.id, description="changed"),
            delete=lambda it: api.delete_project(project_id=it.id),
            shows=lambda it: (it.description, it.organization_id),
            given=("created", place.client.default_organization_id),
            changed=("changed", place.client.default_organization_id),
        )
    ]


def iam(place: Place) -> Sequence[Life[Any]]:
    """Returns the lives of IAM's resources; an application's keys, groups and policies live within it."""
    api = IamV1Alpha1API(place.client)
    sets = {known.name for known in api.list_permission_sets_all()}
    demand("the permission set VPCReadOnly among all", "VPCReadOnly" in sets, expected=True)
    return [
        Life(
            "iam.application",
            create=lambda name: api.create_application(name=name, description="created", tags=["created"]),
            read=lambda it: api.get_application(application_id=it.id),
            listed=api.list_applications_all,
            change=lambda it: api.update_application(application_id=it.id, description="changed", tags=["one", "two"]),
            delete=lambda it: api.delete_application(application_id=it.id),
            shows=lambda it: (it.description, it.tags),
            given=("created", ["created"]),
            changed=("changed", ["one", "two"]),
            within=lambda it: [_api_key(api, it, place), _group(api, it), _policy(api, it, place)],
        ),
        Life(
            "iam.ssh_key",
            create=lambda name: api.create_ssh_key(name=name, public_key=_public_key()),
            read=lambda it: api.get_ssh_key(ssh_key_id=it.id),
            listed=lambda: api.list_ssh_keys_all(project_id=place.project_id),
            change=lambda it: api.update_ssh_key(ssh_key_id=it.id, disabled=True),
            delete=lambda it: api.delete_ssh_key(ssh_key_id=it.id),
            shows=lambda it: (it.disabled, it.project_id),
            given=(False, place.project_id),
            changed=(True, place.project_id),
        ),
    ]


def _api_key(api: IamV1Alpha1API, application: Application, place: Place) -> Life[APIKey]:
    return Life(
        "iam.api_key",
        create=lambda _: api.create_api_key(
            description="created", application_id=application.id, default_project_id=place.project_id
        ),
        read=lambda it: api.get_api_key(access_key=it.access_key),
        listed=lambda: api.list_api_keys_all(application_id=application.id),
        change=lambda it: api.update_api_key(access_key=it.access_key, description="changed"),
        delete=lambda it: api.delete_api_key(access_key=it.access_key),
        key=lambda it: it.access_key,
        shows=lambda it: (it.description, it.application_id, it.default_project_id),
        given=("created", application.id, place.project_id),
        changed=("changed", application.id, place.project_id),
        also=lambda it: demand("the secret of a key that is read again", it.secret_key, None),
    )


def _group(api: IamV1Alpha1API, application: Application) -> Life[Group]:
    return Life(
        "iam.group",
        create=lambda name: api.create_group(name=name, description="created", tags=[]),
        read=lambda it: api.get_group(group_id=it.id),
        listed=api.list_groups_all,
        change=lambda it: api.add_group_member(group_id=it.id, application_id=application.id),
        delete=lambda it: api.delete_group(group_id=it.id),
        shows=lambda it: ",".join(it.application_ids),
        given="",
        changed=application.id,
    )


def _policy(api: IamV1Alpha1API, application: Application, place: Place) -> Life[Any]:
    rule = RuleSpecs(condition="", permission_set_names=["VPCReadOnly"], project_ids=[place.project_id])
    return Life(
        "iam.policy",
        create=lambda name: api.create_policy(
            name=name, description="created", application_id=application.id, rules=[rule]
        ),
        read=lambda it: api.get_policy(policy_id=it.id),
        listed=lambda: api.list_policies_all(application_ids=[application.id]),
        change=lambda it: api.update_policy(policy_id=it.id, description="changed"),
        delete=lambda it: api.delete_policy(policy_id=it.id),
        shows=lambda it: (it.description, it.application_id, it.nb_rules),
        given=("created", application.id, 1),
        changed=("changed", application.id, 1),
        also=lambda it: demand(
            "its rules",
            [(one.permission_set_names, one.project_ids) for one in api.list_rules_all(policy_id=it.id)],
            [(["VPCReadOnly"], [place.project_id])],
        ),
    )


def _public_key() -> str:
    """Returns the public half of an ed25519 key whose private half nobody has."""
    parts = (b"ssh-ed25519", secrets.token_bytes(32))
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"
