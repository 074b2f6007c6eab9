#!/bin/bash
#SBATCH --kill-on-invalid-dep=y
srun ./program
