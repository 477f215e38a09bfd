#!/bin/sh
# Deploy /data/prefect.yaml, or the default deployments, and start the worker that runs them.
set -eu

if ! [ -e prefect.yaml ]; then
    python -c 'from importlib.resources import files
print(files("nl2sql_align").joinpath("prefect.yaml").read_text(), end="")' > prefect.yaml
    echo "Wrote prefect.yaml: set the folders of your dumps there, then restart the worker"
fi
prefect --no-prompt work-pool create nl2sql-align --type process --overwrite
prefect work-pool set-concurrency-limit nl2sql-align 2
prefect --no-prompt deploy --all
exec prefect worker start --pool nl2sql-align --type process --name here
