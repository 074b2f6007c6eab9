#!/bin/bash
#SBATCH -J "a"'b'"c"
srun ./program
