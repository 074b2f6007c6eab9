#!/bin/bash
#SBATCH -b soon
srun ./program
