"""What runs on a stranger's files: within walls and limits."""
