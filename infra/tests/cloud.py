"""An empty cloud that accepts everything and remembers it, and the real program run on it.

Tests run `__main__.py` itself under Pulumi's mocks and ask questions of the graph it
leaves; nothing is contacted and nothing is started.
"""

import json
import runpy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pulumi
from pulumi.runtime import get_root_resource, rpc
from pulumi.runtime.settings import ROOT

if TYPE_CHECKING:
    from pulumi.runtime.stack import Stack

PROGRAM = Path(__file__).parent.parent / "__main__.py"
PROJECT = "stackproof-infra"
STACK = "test"
PROJECT_ID = "11111111-1111-4111-8111-111111111111"
OPERATORS_ID = "22222222-2222-4222-8222-222222222222"
DEPLOYER = "user_id:33333333-3333-4333-8333-333333333333"
PASSWORD = "Springfield-7"
ADMIN_PASSWORD = "Shelbyville-8"

GIVEN: Mapping[str, object] = {
    "scaleway:projectId": PROJECT_ID,
    "scaleway:region": "nl-ams",
    f"{PROJECT}:prefix": "acme-shop",
    f"{PROJECT}:deployers": [DEPLOYER],
    f"{PROJECT}:databasePassword": PASSWORD,
    f"{PROJECT}:databaseAdminPassword": ADMIN_PASSWORD,
}
"""The least that a configuration must say."""

SECRET_KEYS = (f"{PROJECT}:databasePassword", f"{PROJECT}:databaseAdminPassword")


def texts(changes: Mapping[str, object]) -> dict[str, str]:
    """Returns the least configuration with these changes, as Pulumi hands it over: every value a text.

    A key without a colon is one of the program's own; a value of `None` takes the key away.
    """
    named = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in changes.items()}
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

    def __init__(self) -> None:
        """Starts with nothing made."""
        self.made: list[Made] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, object]]:
        """Remembers the resource, and answers with its inputs and its computed properties."""
        inputs = cast("dict[str, object]", args.inputs)
        made = Made(type=args.typ, name=args.name, asked=inputs, component=not args.custom)
        self.made.append(made)
        return made.id, {**inputs, **_computed(made)}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, object], list[tuple[str, str]] | None]:
        """Fails: the program asks the cloud nothing, so that a preview needs no data sources."""
        raise AssertionError(f"the program called {args.token}")


def _computed(made: Made) -> dict[str, object]:
    match made.type:
        case "scaleway:databases/instance:Instance":
            private = cast("dict[str, object]", made["privateNetwork"])
            return {"privateNetwork": {**private, "ip": "10.0.0.2", "port": 5432}}
        case "scaleway:object/bucket:Bucket":
            return {"endpoint": f"https://{made['name']}.s3.{made['region']}.scw.cloud"}
        case "scaleway:iam/apiKey:ApiKey":
            return {"accessKey": "SCWAAAAAAAAAAAAAAAAA", "secretKey": "44444444-4444-4444-8444-444444444444"}
        case "scaleway:secrets/version:Version":
            return {"revision": "1"}
        case _:
            return {}


def _unwrapped(value: object) -> object:
    return cast("dict[str, object]", value)["value"] if rpc.is_rpc_secret(value) else value


@dataclass(frozen=True)
class Graph:
    """Everything one run of the program made, and what it exported."""

    made: Sequence[Made]
    exports: Mapping[str, object] = field(default_factory=dict[str, object])
    secret_exports: frozenset[str] = frozenset()

    def resources(self) -> Iterator[Made]:
        """Yields what exists in the cloud, components left out."""
        return (made for made in self.made if not made.component)

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
    """Runs the program with the least configuration and these changes, and returns what it made."""
    cloud = recorder or Recorder()
    # A process has one stack; without this the next run would be tagged as the last one too.
    ROOT.set(None)
    pulumi.runtime.set_mocks(cloud, project=PROJECT, stack=stack, preview=False)
    pulumi.runtime.set_all_config(texts(changes or {}), list(secret_keys))
    exports: dict[str, object] = {}
    secrets: set[str] = set()

    def program() -> pulumi.Output[None]:
        runpy.run_path(str(PROGRAM), run_name="__main__")
        # Exports are outputs: they are read once everything they wait for is there.
        outputs = cast("Stack", get_root_resource()).outputs
        marks = {name: pulumi.Output.from_input(output.is_secret()) for name, output in outputs.items()}
        secret = pulumi.Output.all(**marks).apply(lambda all_: secrets.update(name for name in all_ if all_[name]))
        return pulumi.Output.all(secret, pulumi.Output.all(**outputs).apply(exports.update)).apply(lambda _: None)

    pulumi.runtime.test(program)()  # pyright: ignore[reportUnknownMemberType] - untyped in the SDK
    return Graph(made=cloud.made, exports=exports, secret_exports=frozenset(secrets))
