"""Models and data that the project keeps: see README.md."""
