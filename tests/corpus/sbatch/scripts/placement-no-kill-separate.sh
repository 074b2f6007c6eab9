#!/bin/bash
#SBATCH -k off
srun ./program
