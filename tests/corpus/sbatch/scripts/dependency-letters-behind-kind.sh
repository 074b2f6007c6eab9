#!/bin/bash
#SBATCH -d afterokx:1
srun ./program
