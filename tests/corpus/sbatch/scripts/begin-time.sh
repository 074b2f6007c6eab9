#!/bin/bash
#SBATCH -b 16:00
srun ./program
