#!/bin/bash
#SBATCH --kill-on-invalid-dep=Yes
srun ./program
