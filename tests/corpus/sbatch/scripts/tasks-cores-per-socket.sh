#!/bin/bash
#SBATCH --cores-per-socket=4
srun ./program
