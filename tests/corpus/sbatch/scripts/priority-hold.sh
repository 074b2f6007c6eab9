#!/bin/bash
#SBATCH -H
srun ./program
