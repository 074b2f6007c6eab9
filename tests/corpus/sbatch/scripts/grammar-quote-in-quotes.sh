#!/bin/bash
#SBATCH -J "it's"
srun ./program
