#!/bin/bash
#SBATCH -b 4PM
srun ./program
