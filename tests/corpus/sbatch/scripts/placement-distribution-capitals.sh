#!/bin/bash
#SBATCH -m Block
srun ./program
