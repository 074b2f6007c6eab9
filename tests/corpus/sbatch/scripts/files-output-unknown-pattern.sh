#!/bin/bash
#SBATCH -o %q-%j.out
srun ./program
