#!/bin/bash
#SBATCH -b 25:00
srun ./program
