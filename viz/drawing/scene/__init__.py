"""What a figure shows, at places that the figure chooses, and its two writers: DOT and SVG. Knows nothing of snapshots."""
