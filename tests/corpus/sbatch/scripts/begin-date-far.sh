#!/bin/bash
#SBATCH -b 9999-12-31
srun ./program
