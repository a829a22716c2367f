"""What keeps this project in order: lint, imports, fresh roots."""
