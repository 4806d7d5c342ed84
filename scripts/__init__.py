"""The command line, one file a command, and what makes the models."""
