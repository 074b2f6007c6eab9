#!/bin/bash
#SBATCH -d SINGLETON
srun ./program
