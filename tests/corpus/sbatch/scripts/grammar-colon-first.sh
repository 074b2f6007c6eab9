#!/bin/bash
#SBATCH -J :a
srun ./program
