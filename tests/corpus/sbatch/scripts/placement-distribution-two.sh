#!/bin/bash
#SBATCH -m block:cyclic
srun ./program
