#!/bin/bash
#SBATCH -b noon
srun ./program
