#!/bin/bash
#SBATCH --network=sn_all
srun ./program
