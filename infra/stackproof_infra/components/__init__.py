"""Reusable components: what a caller decides is in their Args, the rest is policy inside them."""
