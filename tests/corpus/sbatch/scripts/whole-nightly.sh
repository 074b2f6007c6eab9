#!/bin/bash
#SBATCH --begin=tomorrow
#SBATCH --dependency=singleton
#SBATCH --job-name=nightly-backup
#SBATCH --time=1:00:00 --nice=500

rsync -a data/ backup/
