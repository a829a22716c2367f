"""What people read in a terminal: tables, verdicts, reports, the lines of the window."""
