#!/bin/bash
#SBATCH -J $HOME
srun ./program
