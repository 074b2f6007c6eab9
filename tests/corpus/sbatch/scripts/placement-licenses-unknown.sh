#!/bin/bash
#SBATCH -L nosuch:1
srun ./program
