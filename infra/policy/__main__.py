"""The policy pack, as Pulumi's engine starts it."""

import sys
from pathlib import Path

# The package lies beside this folder, not in it, and is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stackproof_policy.pack import serve

serve()
