#!/bin/bash
#SBATCH -w cn[1-3]
srun ./program
