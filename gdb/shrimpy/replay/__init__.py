"""A recorded run: to any place in it, and what was stored where."""
