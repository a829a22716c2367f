#!/bin/sh
# Gradescope runs this once, when the autograder's image is made: installs what the check needs.
set -e
cd "$(dirname "$0")"
# What checks a submission may run as another user, who must be able to read this.
chmod -R a+rX .
chmod a+x run_autograder shrimpy/scripts/* 2>/dev/null || true
exec sh shrimpy/scripts/setup run debug draw
