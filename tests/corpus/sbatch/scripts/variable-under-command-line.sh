#!/bin/bash
#SBATCH -J script
srun ./program
