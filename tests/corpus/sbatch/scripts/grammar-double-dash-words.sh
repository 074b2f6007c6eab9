#!/bin/bash
#SBATCH -J a -- -n 4
srun ./program
