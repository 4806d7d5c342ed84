"""Models and data that the project keeps: see README.md."""

from pathlib import Path

MODELS = Path(__file__).parent
