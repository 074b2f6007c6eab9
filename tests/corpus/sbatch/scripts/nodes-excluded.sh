#!/bin/bash
#SBATCH -x cn[1,3]
srun ./program
