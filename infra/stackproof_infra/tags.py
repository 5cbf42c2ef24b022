"""Tags on everything that can carry them, so that no component can forget them.

A tag names the stack and the resource's URN: after a lost state this is how each
resource in the cloud is matched with its line of code again.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import pulumi

# Object Storage tags have a key and a value; every other product's tags are plain texts.
_KEYED = frozenset({"scaleway:object/bucket:Bucket"})

# Types of a resource and its parents are joined by this in a URN.
_JOINT = "$"

# What stands for the joint in a tag: Object Storage allows letters, digits, spaces and `+ - = . _ : / @` only.
_JOINT_IN_TAG = "+"


def tagged(urn: str) -> str:
    """Returns how a tag writes this URN: whole, with `+` where the URN has `$`."""
    return urn.replace(_JOINT, _JOINT_IN_TAG)


def tag_everything() -> None:
    """Makes every taggable resource that the program creates from here on carry `stack` and `urn` tags."""
    pulumi.runtime.register_stack_transformation(_Tagger(pulumi.get_project(), pulumi.get_stack()))


class _Tagger:
    """Adds the tags while a resource is registered, knowing which component it belongs to."""

    def __init__(self, project: str, stack: str) -> None:
        """Starts with no resource seen; `project` and `stack` are part of every URN."""
        self._project = project
        self._stack = stack
        self._types: dict[pulumi.Resource, str] = {}

    def __call__(self, args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        """Returns the resource's properties with its tags, or nothing for a resource that takes none."""
        parents = self._types.get(args.opts.parent) if args.opts.parent else None
        types = f"{parents}{_JOINT}{args.type_}" if parents else args.type_
        self._types[args.resource] = types
        # The SDK's property bags name every property of the type, also those that are not set.
        if "tags" not in args.props:
            return None
        urn = f"urn:pulumi:{self._stack}::{self._project}::{types}::{args.name}"
        props = {**args.props, "tags": self._with_ours(args.type_, args.props["tags"], tagged(urn))}
        return pulumi.ResourceTransformationResult(props=props, opts=args.opts)

    def _with_ours(self, type_: str, tags: object, urn: str) -> Mapping[str, str] | Sequence[str]:
        if type_ in _KEYED:
            return {"stack": self._stack, "urn": urn.removeprefix("urn:"), **cast("Mapping[str, str]", tags or {})}
        return [f"stack:{self._stack}", urn, *cast("Sequence[str]", tags or [])]
