#!/bin/bash
#SBATCH -t ten
srun ./program
