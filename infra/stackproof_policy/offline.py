"""Runs one of the project's programs without engine and cloud, and returns what it asks for."""

import io
import json
import runpy
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import cast

import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest, RegisterResourceResponse
from pulumi.runtime.settings import ROOT

from stackproof_infra import stack_file
from stackproof_infra.config import Given, foundation
from stackproof_infra.config.container import IMAGE
from stackproof_infra.reader import UNREAD
from stackproof_policy.resource import Resource

_INFRA = Path(__file__).resolve().parent.parent
PROGRAMS: Mapping[str, Path] = {
    stack_file.PROJECT: _INFRA / "__main__.py",
    foundation.PROJECT: _INFRA / "state" / "__main__.py",
}
"""By the name of the project."""

_STACK = "pulumi:pulumi:Stack"

_NOBODY = "00000000-0000-4000-8000-000000000000"

# What whoever deploys adds to a configuration, as it stands in for that until then.
_STAND_INS: Mapping[str, Mapping[str, object]] = {
    stack_file.PROJECT: {
        "deployers": [f"user_id:{_NOBODY}"],
        "scaleway:projectId": _NOBODY,
        "databasePassword": UNREAD,
        "databaseAdminPassword": UNREAD,
    },
    foundation.PROJECT: {"scaleway:projectId": _NOBODY},
}


class CannotRunError(Exception):
    """A program that does not run without a cloud: why not."""


def run(given: Given, added: Sequence[str] = ()) -> list[Resource]:
    """Runs the program of a configuration, and returns what it asks for.

    Keys that are `added` by whoever deploys get a value that stands in for theirs. Raises `CannotRunError` where the
    program fails, as one does that needs more of the cloud than the ids and addresses that are made up for it.
    """
    values, secret_keys = _filled(given, added)
    cloud = _Cloud()
    # A process has one stack; without this the next run would be tagged as the last one too.
    ROOT.set(None)
    monitor = _Monitor(given, cloud)
    pulumi.runtime.set_mocks(cloud, project=given.project, stack=given.stack, preview=False, monitor=monitor)
    pulumi.runtime.set_all_config(values, secret_keys)

    def whole() -> None:
        # Standard output is for the answer.
        with redirect_stdout(io.StringIO()):
            runpy.run_path(str(PROGRAMS[given.project]), run_name="__main__")

    try:
        pulumi.runtime.test(whole)()  # pyright: ignore[reportUnknownMemberType] - untyped in the SDK
    # Whatever a program may raise: it is somebody's, and runs in a place it was not written for.
    except Exception as error:
        raise CannotRunError(f"{type(error).__name__}: {error}") from error
    return cloud.asked


def _filled(given: Given, added: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Returns the configuration as texts, with what stands in for what is missing, and which keys are secret."""
    values, secret_keys = dict(given.values), set(given.secret_keys)
    stand_ins = _STAND_INS[given.project]
    for key in added:
        full = key if ":" in key else f"{given.project}:{key}"
        if key == "container.image" and given.project == stack_file.PROJECT:
            container = _section(values.get(f"{given.project}:container"))
            container.setdefault("image", IMAGE.example)
            values[f"{given.project}:container"] = json.dumps(container)
        elif full not in values and key in stand_ins:
            stand_in = stand_ins[key]
            values[full] = stand_in if isinstance(stand_in, str) else json.dumps(stand_in)
            if stand_in == UNREAD:
                secret_keys.add(full)
    return values, sorted(secret_keys)


def _section(text: str | None) -> dict[str, object]:
    content: object = json.loads(text) if text else {}
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}


class _Cloud(pulumi.runtime.Mocks):
    """Accepts everything, remembers it, and answers with what was asked for and made-up texts for the rest."""

    def __init__(self) -> None:
        """Starts with nothing asked for."""
        self.asked: list[Resource] = []
        self.registered: dict[tuple[str, str], tuple[str, str]] = {}
        """The URN of each resource and of its parent, by its type and name."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, object]]:
        """Remembers the resource, and answers with its inputs and a few of its outputs."""
        inputs = cast("dict[str, object]", args.inputs)
        urn, parent = self.registered[args.typ, args.name]
        known = {key: _readable(value) for key, value in inputs.items()}
        self.asked.append(Resource(type=args.typ, urn=urn, parent=parent, inputs=known, custom=bool(args.custom)))
        return f"id-of-{args.name}", {**_MADE_UP.get(args.typ, {}), **inputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, object], list[tuple[str, str]] | None]:
        """Answers the one question that the programs have for a cloud: which alerts there are."""
        return _ANSWERS.get(args.token, {}), []


class _Monitor(MockMonitor):
    """Pulumi's own stand-in for the engine, which does not tell mocks whose children resources are."""

    def __init__(self, given: Given, cloud: _Cloud) -> None:
        """Tells `cloud`."""
        super().__init__(cloud)
        self._given = given
        self._cloud = cloud

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Returns a resource's URN as the engine makes it."""
        types = parent.split("::")[2] if parent else ""
        joined = f"{types}${type_}" if types and types != _STACK else type_
        return f"urn:pulumi:{self._given.stack}::{self._given.project}::{joined}::{name}"

    def RegisterResource(self, request: RegisterResourceRequest) -> RegisterResourceResponse:  # noqa: N802 - gRPC's
        """Registers as Pulumi's does, and tells of the parent before."""
        urn = self.make_urn(request.parent, request.type, request.name)
        self._cloud.registered[request.type, request.name] = (urn, request.parent)
        return super().RegisterResource(request)  # pyright: ignore[reportUnknownMemberType] - untyped in the SDK


def _readable(value: object) -> object:
    """Returns a value without the wrapping of secrets, wherever in it."""
    if rpc.is_rpc_secret(value):
        return _readable(cast("dict[str, object]", value)["value"])
    if isinstance(value, dict):
        return {key: _readable(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_readable(item) for item in cast("list[object]", value)]
    return value


# What programs read of resources before they go on.
_MADE_UP: Mapping[str, Mapping[str, object]] = {
    "scaleway:databases/instance:Instance": {"certificate": ""},
    "scaleway:databases/serverlessDatabase:ServerlessDatabase": {"endpoint": "postgres://sql:5432/db?sslmode=require"},
    "scaleway:object/bucket:Bucket": {"endpoint": "https://bucket", "apiEndpoint": "https://s3"},
    "scaleway:iam/apiKey:ApiKey": {"accessKey": "SCW", "secretKey": ""},
    "scaleway:secrets/version:Version": {"revision": "1"},
    "scaleway:containers/container:Container": {"publicEndpoint": "https://container"},
    "scaleway:observability/source:Source": {"pushUrl": "https://push"},
    "scaleway:observability/token:Token": {"secretKey": ""},
    "scaleway:observability/alertManager:AlertManager": {"alertManagerUrl": "https://alerts"},
    "scaleway:registry/namespace:Namespace": {"endpoint": "rg"},
}

_ANSWERS: Mapping[str, dict[str, object]] = {
    "scaleway:observability/getPreconfiguredAlert:getPreconfiguredAlert": {
        "alerts": [
            {"productName": product, "preconfiguredRuleId": product, "ruleStatus": "enabled"}
            for product in ("PostgreSQL", "SQL Databases", "Cockpit")
        ]
    },
}
