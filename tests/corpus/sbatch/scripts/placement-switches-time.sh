#!/bin/bash
#SBATCH --switches=2@10
srun ./program
