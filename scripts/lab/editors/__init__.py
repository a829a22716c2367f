"""What an editor needs to debug a kernel with the kit."""
