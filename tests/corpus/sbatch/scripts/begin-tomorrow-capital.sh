#!/bin/bash
#SBATCH -b Tomorrow
srun ./program
