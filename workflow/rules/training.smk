# Slices -> networks, each by the module of its name. A job that was killed goes on from the state folder, which
# Snakemake does not clean up; nor does it delete logs, so that metrics can be looked at whatever happens, and an imported
# checkpoint is taken as it is. The sheet beside the metrics is not named: a model that is fitted at once draws none.


rule train:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        code=lambda wildcards: code(f"stages.training.{wildcards.network}"),
    output:
        checkpoint="results/{benchmark}/checkpoints/{repeat}/{network}.safetensors",
    log:
        text="results/{benchmark}/logs/train/{repeat}/{network}.log",
        metrics="results/{benchmark}/training/{repeat}/{network}/metrics.csv",
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=training_gpus,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 1440 * attempt,
    params:
        parameters=section("train", "network"),
        log="results/{benchmark}/training/{repeat}/{network}",
        state="results/{benchmark}/state/{repeat}/{network}",
    shell:
        "python -m stages.training.{wildcards.network:q} --parameters {params.parameters:q} --data {input.data:q} "
        "--split-list {input.split:q} --checkpoint {output.checkpoint:q} --log {params.log:q} --state {params.state:q} "
        "--threads {threads} 3>&2 2>&1 | tee -i {log.text:q}"
