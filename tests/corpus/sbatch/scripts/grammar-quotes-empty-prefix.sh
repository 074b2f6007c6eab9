#!/bin/bash
#SBATCH -J ""x
srun ./program
