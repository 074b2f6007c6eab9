#!/bin/bash
#SBATCH -J
srun ./program
