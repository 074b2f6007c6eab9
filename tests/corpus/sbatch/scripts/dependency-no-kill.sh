#!/bin/bash
#SBATCH -d afterok:1 --kill-on-invalid-dep=no
srun ./program
