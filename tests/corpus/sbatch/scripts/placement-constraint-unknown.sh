#!/bin/bash
#SBATCH -C nosuch
srun ./program
