#!/bin/bash
#SBATCH -J a\#b
srun ./program
