"""Some secrets and an identity: little, made quickly, and enough to see a state change."""

import pulumi
from pulumiverse_scaleway import iam, secrets

config = pulumi.Config()
prefix = config.require("prefix")
stack = pulumi.get_stack()

for number in range(config.get_int("secrets") or 2):
    secrets.Secret(
        f"secret-{number}",
        name=f"{prefix}-{stack}-secret-{number}",
        path=f"/{prefix}/{stack}/small",
        description=config.get("description") or "A secret of a small program.",
        tags=[f"round:{config.get('round') or 'first'}"],
    )
iam.Application("identity", name=f"{prefix}-{stack}-identity", description="An identity of a small program.")

pulumi.export("hidden", pulumi.Output.secret(config.get("hidden") or "nothing to see"))
