#!/bin/bash
#SBATCH -p gpu
srun ./program
