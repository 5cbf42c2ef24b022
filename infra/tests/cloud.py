"""An empty cloud that accepts everything and remembers it, and the real program run on it.

Tests run the programs themselves under Pulumi's mocks and ask questions of the graph it
leaves; nothing is contacted and nothing is started.
"""

import json
import runpy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pulumi
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime import get_root_resource, rpc
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto.resource_pb2 import (
    RegisterResourceOutputsRequest,
    RegisterResourceRequest,
    RegisterResourceResponse,
)
from pulumi.runtime.settings import ROOT

if TYPE_CHECKING:
    from pulumi.runtime.stack import Stack

INFRA = Path(__file__).parent.parent
PROJECT = "stackproof-infra"
FOUNDATION = "stackproof-foundation"
STACK = "test"
PROJECT_ID = "11111111-1111-4111-8111-111111111111"
OPERATORS_ID = "22222222-2222-4222-8222-222222222222"
DEPLOYER = "user_id:33333333-3333-4333-8333-333333333333"
PASSWORD = "Springfield-7"
ADMIN_PASSWORD = "Shelbyville-8"
SECRET_KEY = "44444444-4444-4444-8444-444444444444"
TOKEN = "cockpit-token-of-springfield"
IMAGE = f"rg.nl-ams.scw.cloud/acme-shop-test-registry/shop@sha256:{'0123456789abcdef' * 4}"
CERTIFICATE = "-----BEGIN CERTIFICATE-----"

# What Cockpit offers, in its own order and with some that the stack has no use for.
ALERTS = (
    ("LB", "rule-lb-backend-down"),
    ("SQL Databases", "rule-sql-cpu"),
    ("PostgreSQL", "rule-postgresql-storage"),
    ("Cockpit", "rule-cockpit-decrease"),
    ("PostgreSQL", "rule-postgresql-cpu"),
    ("MySQL", "rule-mysql-cpu"),
)

GIVEN: Mapping[str, object] = {
    "scaleway:projectId": PROJECT_ID,
    "scaleway:region": "nl-ams",
    f"{PROJECT}:prefix": "acme-shop",
    f"{PROJECT}:deployers": [DEPLOYER],
    f"{PROJECT}:databasePassword": PASSWORD,
    f"{PROJECT}:databaseAdminPassword": ADMIN_PASSWORD,
    f"{PROJECT}:container": {"image": IMAGE},
}
"""The least that a configuration must say."""

SECRET_KEYS = (f"{PROJECT}:databasePassword", f"{PROJECT}:databaseAdminPassword")


def texts(changes: Mapping[str, object]) -> dict[str, str]:
    """Returns the least configuration with these changes, as Pulumi hands it over: every value a text.

    A key without a colon is one of the program's own; a value of `None` takes the key away. What `container` says is
    added to its least.
    """
    named = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in changes.items()}
    container = named.get(f"{PROJECT}:container")
    if isinstance(container, dict):
        least = {"image": IMAGE, **cast("dict[str, object]", container)}
        named[f"{PROJECT}:container"] = {key: value for key, value in least.items() if value is not None}
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in {**GIVEN, **named}.items()
        if value is not None
    }


@dataclass(frozen=True)
class Made:
    """One resource as the program asked for it."""

    type: str
    name: str
    asked: Mapping[str, object]
    """Its inputs, secrets still wrapped."""
    component: bool
    parent: str
    """Logical name of the component it belongs to; empty for what belongs to none."""
    protected: bool
    """Whether Pulumi refuses to delete it."""
    after: frozenset[str]
    """Logical names of what must be there before."""

    def __getitem__(self, key: str) -> object:
        """Returns an input's plain value; a missing one is a failed test."""
        return self.plain[key]

    @property
    def plain(self) -> Mapping[str, object]:
        """Returns its inputs with secrets unwrapped."""
        return {key: _unwrapped(value) for key, value in self.asked.items()}

    def is_secret(self, key: str) -> bool:
        """Returns whether the program marked this input secret."""
        return rpc.is_rpc_secret(self.asked[key])

    @property
    def provides(self) -> bool:
        """Returns whether it is a provider, which exists for the engine alone."""
        return self.type.startswith("pulumi:providers:")

    @property
    def id(self) -> str:
        """Returns the id that the cloud gave it."""
        return f"id-of-{self.name}"

    def tags(self) -> Sequence[str]:
        """Returns its tags as texts, `key:value` where the product keeps the two apart."""
        tags = self["tags"]
        if isinstance(tags, dict):
            return [f"{key}:{value}" for key, value in cast("dict[str, str]", tags).items()]
        return cast("list[str]", tags)


class Recorder(pulumi.runtime.Mocks):
    """Accepts every resource, gives it an id and what only a cloud can know, and remembers it."""

    def __init__(self, alerts: Sequence[tuple[str, str]] = ALERTS) -> None:
        """Starts with nothing made; `alerts` is what Cockpit offers, by product and rule."""
        self.made: list[Made] = []
        self.options: dict[str, RegisterResourceRequest] = {}
        self.told: dict[str, frozenset[str]] = {}
        """What each component told the engine to keep of it, by its logical name."""
        self.called_by: list[str] = []
        """Which provider each call for alerts went to."""
        self._alerts = alerts

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, object]]:
        """Remembers the resource, and answers with its inputs and its computed properties."""
        inputs = cast("dict[str, object]", args.inputs)
        made = Made(
            type=args.typ,
            name=args.name,
            asked=inputs,
            component=not args.custom,
            parent=self.options[args.name].parent.rpartition("::")[2] if self.options[args.name].parent else "",
            protected=self.options[args.name].protect,
            after=frozenset(urn.rpartition("::")[2] for urn in self.options[args.name].dependencies),
        )
        self.made.append(made)
        return made.id, {**inputs, **_computed(made)}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, object], list[tuple[str, str]] | None]:
        """Answers the one question the program has for a cloud, in a preview as well: which alerts there are."""
        assert args.token == "scaleway:observability/getPreconfiguredAlert:getPreconfiguredAlert"
        self.called_by.append(args.provider or "")
        assert cast("dict[str, object]", args.args) == {"projectId": PROJECT_ID, "region": "nl-ams"}  # pyright: ignore[reportUnknownMemberType] - untyped in the SDK
        return {"alerts": [_alert(product, rule) for product, rule in self._alerts]}, []


class Registrar(MockMonitor):
    """Pulumi's own stand-in for the engine, which does not tell mocks what a resource's options and outputs are."""

    def __init__(self, cloud: Recorder) -> None:
        """Tells `cloud`."""
        super().__init__(cloud)
        self._cloud = cloud

    def RegisterResource(self, request: RegisterResourceRequest) -> RegisterResourceResponse:  # noqa: N802 - gRPC's
        """Registers as Pulumi's does, and tells of the options before."""
        self._cloud.options[request.name] = request
        return super().RegisterResource(request)  # pyright: ignore[reportUnknownMemberType] - untyped in the SDK

    def RegisterResourceOutputs(self, request: RegisterResourceOutputsRequest) -> Empty:  # noqa: N802 - gRPC's
        """Registers as Pulumi's does, and tells what was."""
        self._cloud.told[request.urn.rpartition("::")[2]] = frozenset(request.outputs)
        return super().RegisterResourceOutputs(request)  # pyright: ignore[reportUnknownMemberType] - untyped too


def _alert(product: str, rule: str) -> dict[str, object]:
    # On or off already, whatever was deployed before.
    status = "enabled" if rule.endswith("cpu") else "disabled"
    return {"productName": product, "preconfiguredRuleId": rule, "ruleStatus": status}


def _computed(made: Made) -> dict[str, object]:
    match made.type:
        case "scaleway:databases/instance:Instance":
            if "privateNetwork" not in made.asked:
                public = {"ip": "198.51.100.7", "port": 5433}
                return {"loadBalancer": public, "certificate": CERTIFICATE}
            private = cast("dict[str, object]", made["privateNetwork"])
            return {"privateNetwork": {**private, "ip": "10.0.0.2", "port": 5432}, "certificate": CERTIFICATE}
        case "scaleway:databases/serverlessDatabase:ServerlessDatabase":
            return {"endpoint": "postgres://sql.nl-ams.scw.cloud:5432/acme?sslmode=require"}
        case "scaleway:object/bucket:Bucket":
            region = f"s3.{made['region']}.scw.cloud"
            return {"endpoint": f"https://{made['name']}.{region}", "apiEndpoint": f"https://{region}"}
        case "scaleway:iam/apiKey:ApiKey":
            return {"accessKey": "SCWAAAAAAAAAAAAAAAAA", "secretKey": SECRET_KEY}
        case "scaleway:secrets/version:Version":
            return {"revision": "1"}
        case "scaleway:containers/container:Container":
            return {"publicEndpoint": "https://acme-web.functions.fnc.nl-ams.scw.cloud"}
        case "scaleway:observability/source:Source":
            return {"pushUrl": f"https://{made['type']}.cockpit.nl-ams.scw.cloud/push"}
        case "scaleway:observability/token:Token":
            return {"secretKey": TOKEN}
        case "scaleway:observability/alertManager:AlertManager":
            return {"alertManagerUrl": "https://alertmanager.cockpit.nl-ams.scw.cloud"}
        case "scaleway:registry/namespace:Namespace":
            return {"endpoint": f"rg.{made['region']}.scw.cloud/{made['name']}"}
        case _:
            return {}


def _unwrapped(value: object) -> object:
    return cast("dict[str, object]", value)["value"] if rpc.is_rpc_secret(value) else value


@dataclass(frozen=True)
class Graph:
    """Everything one run of the program made, and what it exported."""

    made: Sequence[Made]
    told: Mapping[str, frozenset[str]]
    """Which outputs each component registered, by its logical name."""
    exports: Mapping[str, object]
    secret_exports: frozenset[str]

    def resources(self) -> Iterator[Made]:
        """Yields what exists in the cloud: neither components nor providers."""
        return (made for made in self.made if not made.component and not made.provides)

    def providers(self) -> list[Made]:
        """Returns the providers that the program configures itself."""
        return [made for made in self.made if made.provides]

    def all(self, type_: str) -> list[Made]:
        """Returns the resources of a type, such as `iam/policy:Policy`."""
        return [made for made in self.resources() if made.type == f"scaleway:{type_}"]

    def the(self, type_: str) -> Made:
        """Returns the one resource of a type."""
        (made,) = self.all(type_)
        return made

    def named(self, name: str) -> Made:
        """Returns the resource with this logical name."""
        (made,) = (made for made in self.resources() if made.name == name)
        return made


def deploy(
    changes: Mapping[str, object] | None = None,
    *,
    stack: str = STACK,
    recorder: Recorder | None = None,
    secret_keys: Sequence[str] = SECRET_KEYS,
) -> Graph:
    """Runs the stack's program with the least configuration and these changes, and returns what it made."""
    return run(INFRA / "__main__.py", PROJECT, stack, texts(changes or {}), secret_keys, recorder or Recorder())


WHOLE: Mapping[str, object] = {
    "operatorsProjectId": OPERATORS_ID,
    "container": {
        "domain": "shop.example.com",
        "private": True,
        "cron": {"schedule": "0 3 * * *"},
        "environment": {"LOG_LEVEL": "info"},
    },
}
"""Everything that is there only when it is configured."""


MANAGED_LOCK: Mapping[str, object] = {
    "lock": {"kind": "managed", "allowedAddresses": ["203.0.113.7/32"]},
    "lockPassword": PASSWORD,
    "lockAdminPassword": ADMIN_PASSWORD,
}
"""The least that a foundation with a managed database for the lock must say."""


def lay_foundation(changes: Mapping[str, object] | None = None, *, stack: str = STACK) -> Graph:
    """Runs the foundation's program likewise."""
    least = {"scaleway:projectId": PROJECT_ID, "scaleway:region": "nl-ams", f"{FOUNDATION}:prefix": "acme-shop"}
    given = {
        f"{FOUNDATION}:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in (changes or {}).items()
    }
    secret_keys = [key for key in given if key.endswith(("Password", "PasswordAlternate"))]
    return run(INFRA / "state" / "__main__.py", FOUNDATION, stack, {**least, **given}, secret_keys, Recorder())


def run(
    program: Path | Callable[[], object],
    project: str,
    stack: str,
    values: Mapping[str, str],
    secret_keys: Sequence[str],
    cloud: Recorder,
) -> Graph:
    """Runs a program, or a part of one, with exactly this configuration."""
    # A process has one stack; without this the next run would be tagged as the last one too.
    ROOT.set(None)
    pulumi.runtime.set_mocks(cloud, project=project, stack=stack, preview=False, monitor=Registrar(cloud))
    pulumi.runtime.set_all_config(dict(values), list(secret_keys))
    exports: dict[str, object] = {}
    secrets: set[str] = set()

    def whole() -> pulumi.Output[None]:
        if isinstance(program, Path):
            runpy.run_path(str(program), run_name="__main__")
        else:
            program()
        # Exports are outputs: they are read once everything they wait for is there.
        outputs = cast("Stack", get_root_resource()).outputs
        marks = {name: pulumi.Output.from_input(output.is_secret()) for name, output in outputs.items()}
        secret = pulumi.Output.all(**marks).apply(lambda all_: secrets.update(name for name in all_ if all_[name]))
        return pulumi.Output.all(secret, pulumi.Output.all(**outputs).apply(exports.update)).apply(lambda _: None)

    pulumi.runtime.test(whole)()  # pyright: ignore[reportUnknownMemberType] - untyped in the SDK
    return Graph(made=cloud.made, told=cloud.told, exports=exports, secret_exports=frozenset(secrets))
