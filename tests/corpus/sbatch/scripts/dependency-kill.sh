#!/bin/bash
#SBATCH -d afterok:1 --kill-on-invalid-dep=yes
srun ./program
