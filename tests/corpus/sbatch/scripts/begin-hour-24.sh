#!/bin/bash
#SBATCH -b 24:00
srun ./program
