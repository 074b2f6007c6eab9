#!/bin/bash
#SBATCH --delay-boot=1:30
srun ./program
