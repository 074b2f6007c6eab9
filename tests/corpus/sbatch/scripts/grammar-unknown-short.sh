#!/bin/bash
#SBATCH -Z
srun ./program
