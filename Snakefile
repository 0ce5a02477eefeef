# The benchmark from raw volumes to figures: https://snakemake.readthedocs.io
#
#   snakemake --cores 8 --resources gpu=1                    every benchmark that `run:` in params.yaml lists
#   snakemake --config run=smoke -- tables                   one benchmark, up to its tables
#   snakemake --config records=reuse -- tables               no maps where a record says what they scored; where all do,
#                                                            no networks either, and so no trade-off
#   snakemake --workflow-profile profiles/slurm              on a cluster
#
# workflow/rules has one file a chapter, in the order data flows; a rule runs the stage module of its name, or that of its
# data set's reader, its network, its method's detector.

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"
include: "workflow/rules/raw_data.smk"
include: "workflow/rules/records.smk"
include: "workflow/rules/milestones.smk"
include: "workflow/rules/stopping.smk"


read_params("params.yaml")


configfile: "params.yaml"


# With --sdm apptainer: the image that jobs run in.
container: image()


report: "workflow/report/workflow.rst"


config = checked(config)
require_raw_data()
date_back_what_is_of_the_future()


wildcard_constraints:
    benchmark=one_of(config["benchmarks"]),
    fold="[0-9]+",
    repeat="fold[0-9]+-seed[0-9]+",
    split="train|validation|test",
    method="[a-z0-9-]+",
    network="[a-z0-9_]+",
    setting="[A-Za-z0-9.+_-]+",


rule all:
    input:
        lambda wildcards: milestone(stores),
        lambda wildcards: milestone(tables),
        lambda wildcards: milestone(figures),
        lambda wildcards: milestone(exports),


# What `make` has made before all else, so that there is soon something to look at.
rule first_figure:
    input:
        lambda wildcards: figures(config["run"][0])[:1],
    message:
        "The first figure is there: {input}"


# What the export of a phantom needs beside its results, and `make pull` makes again.
rule raw_data:
    input:
        milestone(phantom_folder),


# What the report of `make report` shows of where all results come from.
rule crates:
    input:
        lambda wildcards: milestone(crates),


# Milestones: `snakemake -- maps` goes so far. dvc.yaml versions what each of them leaves behind.


rule data:
    input:
        lambda wildcards: milestone(stores),


rule checkpoints:
    input:
        lambda wildcards: milestone(networks),


rule maps:
    input:
        lambda wildcards: milestone(detections),


rule tables:
    input:
        lambda wildcards: milestone(tables),


rule figures:
    input:
        lambda wildcards: milestone(figures),


rule exports:
    input:
        lambda wildcards: milestone(exports),


include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/detection.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/pages.smk"
include: "workflow/rules/export.smk"
