"""The command line that every training stage shares."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

from stages.training.loop import Run


def add_arguments(parser: ArgumentParser, name: str) -> ArgumentParser:
    """Add the paths and threads of a training stage that writes `name`.safetensors."""
    parser.add_argument("--data", type=Path, required=True, help="slice store of the training subjects")
    parser.add_argument("--checkpoint", type=Path, required=True, help=f"the result, {name}.safetensors")
    parser.add_argument("--log", type=Path, required=True, help="folder for metrics.csv and sheet.png")
    parser.add_argument("--state", type=Path, required=True, help="folder for what a killed run resumes from")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    return parser


def run_of(options: Namespace, rule: str, module: str) -> Run:
    """The run of a stage's module that a parsed command line describes."""
    return Run(rule, module, options.checkpoint, options.log, options.state, options.parameters)
