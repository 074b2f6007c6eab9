#!/bin/bash
#SBATCH -w cn1,cn2
srun ./program
