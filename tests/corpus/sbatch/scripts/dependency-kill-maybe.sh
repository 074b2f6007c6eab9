#!/bin/bash
#SBATCH --kill-on-invalid-dep=maybe
srun ./program
