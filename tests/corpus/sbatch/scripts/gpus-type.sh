#!/bin/bash
#SBATCH -G a100
srun ./program
