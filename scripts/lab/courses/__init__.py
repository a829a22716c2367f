"""What a course installs: assignments, submissions laid over their tree, and marks in the forms that services read."""
