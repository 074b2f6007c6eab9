#!/bin/bash
#SBATCH -m block,Pack
srun ./program
