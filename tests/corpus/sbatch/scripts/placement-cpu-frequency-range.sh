#!/bin/bash
#SBATCH --cpu-freq=low-highm1:performance
srun ./program
