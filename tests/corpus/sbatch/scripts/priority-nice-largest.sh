#!/bin/bash
#SBATCH --nice=2147483645
srun ./program
