"""The foundation, as a table of contents: what must be there before any stack.

What a team decides is in `stackproof_infra/config/foundation.py`.
"""

import sys
from pathlib import Path

# The package lies beside this program, not in it, and is not installed: both programs run where they lie.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi

from stackproof_infra.components.registry import Registry, RegistryArgs
from stackproof_infra.config.foundation import load
from stackproof_infra.tags import tag_everything

settings = load()
place = settings.place
tag_everything()

registry = Registry("registry", RegistryArgs(place=place, description=settings.registry.description))

pulumi.export("registry_namespace_id", registry.namespace_id)
pulumi.export("registry_endpoint", registry.endpoint)
