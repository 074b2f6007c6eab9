#!/bin/bash
#SBATCH -b nowhere
srun ./program
