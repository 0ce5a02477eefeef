"""The benchmark: a package for each chapter of the workflow, in the order data flows, and what they build on."""

__version__ = "0.1.0"
