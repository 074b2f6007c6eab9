#!/bin/bash
#SBATCH -m cyclic:block:block:block
srun ./program
