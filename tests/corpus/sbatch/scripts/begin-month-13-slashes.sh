#!/bin/bash
#SBATCH -b 13/01
srun ./program
