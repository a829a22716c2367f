"""What was judged as marks, of one tree or of a class."""
