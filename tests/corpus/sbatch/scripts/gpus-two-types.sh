#!/bin/bash
#SBATCH -G a100:1,v100:1
srun ./program
