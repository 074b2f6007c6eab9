#!/bin/bash
#SBATCH -b 0:30AM
srun ./program
