"""The benchmark: a package for each chapter of the workflow, in the order data flows, and what they build on."""

__version__ = "1.0.0"
