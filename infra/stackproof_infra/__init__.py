"""The stack's parts: its configuration, its naming, its tags, and one component a file."""
