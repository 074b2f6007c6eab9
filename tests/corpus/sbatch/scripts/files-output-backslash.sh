#!/bin/bash
#SBATCH -o 'raw\\%j'
srun ./program
