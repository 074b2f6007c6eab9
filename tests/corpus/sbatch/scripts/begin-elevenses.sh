#!/bin/bash
#SBATCH -b elevenses
srun ./program
