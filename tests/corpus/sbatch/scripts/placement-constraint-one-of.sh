#!/bin/bash
#SBATCH -C [intel|amd]
srun ./program
