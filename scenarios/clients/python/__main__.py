"""Leads resources of every product through their lives, with Scaleway's own Python SDK and with boto3.

It knows the cloud by the environment alone, as every Scaleway tool does, and makes everything in a project of its
own, which it deletes at the end: Scaleway refuses to while anything is left in it.
"""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from scaleway.account.v3 import AccountV3ProjectAPI

from databases import rdb, serverless_sql
from identity import account, iam
from life import Life, live
from network import vpc
from observability import cockpit
from place import UnsetError, organization, project
from security import key_manager, secret_manager
from serverless import containers, registry
from storage import object_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from place import Place

PRODUCTS: dict[str, Callable[[Place], Sequence[Life[Any]]]] = {
    "account": account,
    "iam": iam,
    "vpc": vpc,  # and ipam, within a private network
    "rdb": rdb,
    "serverless-sql": serverless_sql,
    "object-storage": object_storage,
    "registry": registry,
    "containers": containers,
    "secret-manager": secret_manager,
    "key-manager": key_manager,
    "cockpit": cockpit,
}


class Play:
    """All lives, and how each ended."""

    def __init__(self) -> None:
        self.name = f"clients-py-{secrets.token_hex(4)}"
        self.passed = 0
        self.failed = 0

    def play(self, life: Life[Any]) -> None:
        """Plays a life; what goes wrong in it is told and does not end the others."""
        self.told(life.kind, lambda: live(life, f"{self.name}-{self.passed + self.failed}", self.play))

    def product(self, name: str, lives: Callable[[Place], Sequence[Life[Any]]], place: Place) -> None:
        """Plays the lives of one product."""
        found: list[Life[Any]] = []
        self.told(f"{name}: what there is", lambda: found.extend(lives(place)))
        for life in found:
            self.play(life)

    def told(self, what: str, act: Callable[[], None]) -> None:
        """Does it, and tells how it ended."""
        begun = time.monotonic()
        try:
            act()
        except Exception:
            self.failed += 1
            print(f"FAIL {what}\n{traceback.format_exc()}")
        else:
            self.passed += 1
            print(f"ok   {what} ({time.monotonic() - begun:.2f} s)")


def main(only: list[str]) -> int:
    """Plays the products that are named, or all; returns the exit code."""
    unknown = [name for name in only if name not in PRODUCTS]
    if unknown:
        print(f"no product is called {', '.join(unknown)}; next: name some of {', '.join(PRODUCTS)}")
        return 2
    try:
        client = organization()
    except UnsetError as unset:
        print(unset)
        return 2
    play = Play()
    projects = AccountV3ProjectAPI(client)
    made = projects.create_project(name=play.name, description="for the time of one test")
    place = project(client, made.id)
    for name, lives in PRODUCTS.items():
        if not only or name in only:
            play.product(name, lives, place)
    play.told("nothing is left in the project", lambda: projects.delete_project(project_id=made.id))
    print(f"{play.passed} passed, {play.failed} failed")
    return 1 if play.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
