"""Where the stack's resources live, and what they are called.

Names are computed, never random: the same configuration gives the same names, so
that two environments cannot clash and a lost state can be found again.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Place:
    """A stack's corner of Scaleway: one project, one region, one family of names."""

    prefix: str
    stack: str
    project_id: str
    region: str

    def name(self, what: str) -> str:
        """Returns the real name of the stack's `what`, such as `stackproof-dev-assets`.

        The prefix is configuration, because bucket names are unique among all
        of Scaleway's customers.
        """
        return f"{self.prefix}-{self.stack}-{what}"
