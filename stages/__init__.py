"""Stages of the benchmark, one package a chapter; data flows from `data` to `figures`."""

__version__ = "0.1.0"
