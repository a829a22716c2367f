"""What figures ask of a snapshot, before anything is drawn, and how it is said."""
