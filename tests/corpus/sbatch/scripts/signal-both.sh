#!/bin/bash
#SBATCH --signal=BR:USR1@90
srun ./program
