#!/bin/bash
#SBATCH -S x
srun ./program
