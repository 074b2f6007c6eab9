#!/bin/bash
#SBATCH -
srun ./program
