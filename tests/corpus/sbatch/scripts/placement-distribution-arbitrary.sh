#!/bin/bash
#SBATCH -m arbitrary
srun ./program
