#!/bin/bash
#SBATCH -b 00:00
srun ./program
