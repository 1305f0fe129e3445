"""driftlake: nightly drift, label and quality analysis of production models, as SQL tables."""

__version__ = "0.1.0"
