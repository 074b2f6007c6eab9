#!/bin/bash
#SBATCH --delay-boot=5
srun ./program
