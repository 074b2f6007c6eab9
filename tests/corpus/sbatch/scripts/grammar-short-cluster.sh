#!/bin/bash
#SBATCH -Hn4
srun ./program
