#!/bin/bash
#SBATCH -b noontomorrow
srun ./program
