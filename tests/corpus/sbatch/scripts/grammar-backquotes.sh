#!/bin/bash
#SBATCH -J `id`
srun ./program
