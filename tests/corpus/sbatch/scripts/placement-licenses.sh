#!/bin/bash
#SBATCH -L matlab:2,ansys
srun ./program
