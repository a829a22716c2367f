"""A recorded run, gone through in both directions: QEMU's replay runs forward only, so what lies before is reached by a new
machine that runs from the beginning up to there. And a machine that is kept as it is, whatever its harts, and goes on from there."""
