"""The study of small models that are tuned and scored: see ``docs/study.md``."""
