#!/bin/bash
#SBATCH -m bogus
srun ./program
