"""Questions asked of the stack's resource graph, and of its configuration."""
