#!/bin/bash
#SBATCH --mem-bind=mask_mem:0x1
srun ./program
