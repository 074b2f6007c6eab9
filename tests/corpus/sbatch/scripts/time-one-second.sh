#!/bin/bash
#SBATCH -t 00:00:01
srun ./program
