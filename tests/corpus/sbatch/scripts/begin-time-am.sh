#!/bin/bash
#SBATCH -b 4:30AM
srun ./program
