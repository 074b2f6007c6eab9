#!/bin/bash
#SBATCH --delay-boot=x
srun ./program
