"""Which kernel a path names: found, built, changed on purpose."""
