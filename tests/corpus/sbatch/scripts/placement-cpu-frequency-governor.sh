#!/bin/bash
#SBATCH --cpu-freq=ondemand
srun ./program
