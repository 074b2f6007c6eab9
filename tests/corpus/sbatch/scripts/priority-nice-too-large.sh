#!/bin/bash
#SBATCH --nice=2147483646
srun ./program
