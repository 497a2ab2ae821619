#!/usr/bin/env bash
# A chip of a billion weights on eight GPUs of one node: sbatch experiments/slurm/large_chip.sh
# About 4 GB of cells and 10 GB at the peak on each GPU (`xbar run scale`); for more nodes raise --nodes, and --layers with it.
#SBATCH --job-name=xbar-large-chip
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=00:30:00
set -euo pipefail
srun "${PYTHON:-python}" -m experiments.slurm.large_chip --layers 16 --width 8192 "$@"
