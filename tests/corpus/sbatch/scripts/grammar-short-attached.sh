#!/bin/bash
#SBATCH -Jname -n4
srun ./program
