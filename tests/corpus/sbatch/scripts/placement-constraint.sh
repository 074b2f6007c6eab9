#!/bin/bash
#SBATCH -C intel
srun ./program
